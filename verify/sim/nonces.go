package main

import (
	"encoding/binary"
	"sync"
	"time"
)

// nonces are the random bytes of a run, in place of the system's. They follow from the
// instant: what a process that is dying still asks for, or not, changes no other.
type nonces struct {
	mu    sync.Mutex
	seed  uint64
	at    time.Time
	count int // at this instant
}

func newNonces(seed uint64) *nonces { return &nonces{seed: seed} }

func (n *nonces) Read(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); !now.Equal(n.at) {
		n.at, n.count = now, 0
	}
	n.count++
	chance := newLuck(n.seed, int(n.at.UnixNano()), n.count)
	for rest := b; len(rest) > 0; {
		var eight [8]byte
		binary.LittleEndian.PutUint64(eight[:], chance.next())
		rest = rest[copy(rest, eight[:]):]
	}
	return len(b), nil
}
