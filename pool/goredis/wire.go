package goredis

import (
	"net"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/resp"
)

var noDeadline time.Time

// wire is a connection that was dialed and greeted with the user's options. This package
// writes and reads it.
type wire struct {
	*resp.Conn // once begun
	conn       net.Conn
	witness    *witness  // nil if there is no Sentinel
	rotation   *rotation // nil if credentials do not change under a connection
	ended      sync.Once
}

// begin starts the use of the connection.
func (w *wire) begin() {
	w.Conn = resp.NewConn(w.conn)
	if w.rotation != nil {
		w.rotation.begin()
	}
	if w.witness != nil {
		go w.witness.watch(func() { w.conn.Close() }) // ends with the witness, or after Close
	}
}

// Close implements pipeline.Conn. It may be called again.
func (w *wire) Close() error {
	w.ended.Do(func() {
		if w.conn != nil {
			w.conn.Close() // interrupts Read and Write
		}
		if w.rotation != nil {
			w.rotation.end()
		}
		if w.witness != nil {
			w.witness.close()
		}
	})
	return nil
}
