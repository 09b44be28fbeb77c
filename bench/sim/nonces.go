package main

import (
	"math/rand/v2"
	"sync"
)

// nonces are the random bytes of a run, in place of the system's.
type nonces struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func newNonces(seed uint64) *nonces {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return &nonces{source: rand.NewChaCha8(key)}
}

func (n *nonces) Read(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.source.Read(b)
}
