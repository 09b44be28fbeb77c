package goredis

import (
	"io"

	"github.com/quorumlock/quorumlock/internal/resp"
	"github.com/quorumlock/quorumlock/pool"
)

// decoder is the decoder of a reply that go-redis writes to it while it reads it. The Write that
// completes a protocol error or an error reply returns that error. From it go-redis decides about
// the connection, exactly as it would with its own parser. Only a null is no error here; see
// [command]. go-redis ignores an error if all bytes were taken.
type decoder struct{ resp.Decoder }

// Write implements [io.Writer].
func (d *decoder) Write(p []byte) (int, error) {
	n, err := d.Decoder.Write(p)
	if err == nil {
		if err = d.refusal(); err != nil {
			n = 0
		}
	}
	return n, err
}

// ReadFrom implements [io.ReaderFrom]. Without it io.Copy would allocate a buffer for every
// bulk string.
func (d *decoder) ReadFrom(r io.Reader) (int64, error) {
	n, err := d.Decoder.ReadFrom(r)
	if err == nil {
		if err = d.refusal(); err != nil {
			n = 0
		}
	}
	return n, err
}

// refusal returns an error reply as go-redis gets it, or nil.
func (d *decoder) refusal() error {
	if refusal, ok := d.Value.(pool.Error); ok {
		return refused(refusal)
	}
	return nil
}
