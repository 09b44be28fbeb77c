//go:build !linux

package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// reserve chooses a free port below 49152: from there on systems take the local ports of
// outgoing connections.
func reserve() (number int, release func(), err error) {
	for range 100 {
		number = 16000 + rand.IntN(16000)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(number))); err == nil {
			return number, func() {}, l.Close()
		}
	}
	return 0, nil, fmt.Errorf("find a free port on 127.0.0.1: %w", err)
}
