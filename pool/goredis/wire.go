package goredis

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

var noDeadline time.Time

// wire is a connection that was dialed and greeted with the user's options. This package
// writes and reads it.
type wire struct {
	conn     net.Conn
	witness  *witness  // nil if there is no Sentinel
	rotation *rotation // nil if credentials do not change under a connection
	ended    sync.Once

	out []byte // written by Send, sent by Flush

	in    []byte // read from conn
	used  int    // bytes of in that were decoded
	reply decoder
}

const (
	// outSize is how much memory out keeps. A batch is rarely larger.
	outSize = 128 << 10
	// inSize is the size of in, as long as no reply is larger.
	inSize = 16 << 10
)

// begin starts the use of the connection.
func (w *wire) begin() {
	w.in = make([]byte, 0, inSize)
	if w.rotation != nil {
		w.rotation.begin()
	}
	if w.witness != nil {
		go w.witness.watch(func() { w.conn.Close() }) // ends with the witness, or after Close
	}
}

// Send implements pipeline.Conn.
func (w *wire) Send(args []any) error {
	var err error
	w.out, err = appendCommand(w.out, args)
	return err
}

// Flush implements pipeline.Conn.
func (w *wire) Flush() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.conn.Write(w.out)
	if cap(w.out) > outSize {
		w.out = nil
	}
	w.out = w.out[:0]
	return err
}

// Receive implements pipeline.Conn.
func (w *wire) Receive() (any, error) {
	w.reply.reset()
	w.reply.pushes = true
	for {
		for w.used < len(w.in) {
			n, err := w.reply.token(w.in[w.used:])
			if err != nil {
				return nil, err
			}
			if n == 0 {
				break
			}
			w.used += n
			if w.reply.done {
				return w.result()
			}
		}
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
}

func (w *wire) result() (any, error) {
	if refusal, ok := w.reply.value.(pool.Error); ok {
		return nil, refusal
	}
	return w.reply.value, nil
}

// fill reads what has arrived.
func (w *wire) fill() error {
	switch {
	case w.used == len(w.in):
		w.in = w.in[:0]
		if cap(w.in) > 4*inSize {
			w.in = make([]byte, 0, inSize)
		}
	case w.used > 0:
		w.in = w.in[:copy(w.in, w.in[w.used:])]
	case len(w.in) == cap(w.in):
		w.in = append(w.in, 0)[:len(w.in)]
	}
	w.used = 0
	n, err := w.conn.Read(w.in[len(w.in):cap(w.in)])
	w.in = w.in[:len(w.in)+n]
	if n > 0 {
		return nil // the next Read returns the error again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
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

// appendCommand appends a command in the form of the protocol: an array of bulk strings.
func appendCommand(b []byte, args []any) ([]byte, error) {
	b = appendLength(b, '*', len(args))
	for _, arg := range args {
		switch arg := arg.(type) {
		case string:
			b = appendLength(b, '$', len(arg))
			b = append(b, arg...)
		case int64:
			var digits [20]byte
			text := strconv.AppendInt(digits[:0], arg, 10)
			b = appendLength(b, '$', len(text))
			b = append(b, text...)
		default:
			return b, fmt.Errorf("goredis: an argument is a string or an int64, not %T", arg)
		}
		b = append(b, '\r', '\n')
	}
	return b, nil
}

func appendLength(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, '\r', '\n')
}
