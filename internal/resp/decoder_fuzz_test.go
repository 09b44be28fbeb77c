package resp

import (
	"io"
	"net"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/quorumlock/quorumlock/pool"
)

// A recording is a connection on which bytes come in pieces of at most n.
type recording struct {
	net.Conn
	b []byte
	n int
}

func (r *recording) Read(b []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.b[:min(r.n, len(r.b))])
	r.b = r.b[n:]
	return n, nil
}

// Whatever bytes come: in whole or in pieces, written to the decoder, read by it, or on a
// connection, they are the same reply or none. It is one that the contract knows, in memory for
// the bytes that came.
func FuzzDecoder(f *testing.F) {
	for sent := range replies() {
		f.Add([]byte(sent), byte(3))
	}
	for _, sent := range nonsense {
		f.Add([]byte(sent), byte(0))
	}
	for _, reply := range stream {
		if len(reply.bytes) < 1000 {
			f.Add([]byte(reply.bytes), byte(200))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, by byte) {
		n := 1 + int(by)
		var whole Decoder
		whole.Reset()
		_, err := whole.Write(b)
		whole.wantNoMoreThan(t, len(b))
		got, done, pieces := decoded(b, n)
		if done && pieces == nil {
			wantContract(t, got)
		}
		if (err == nil) != (pieces == nil) || err == nil && !reflect.DeepEqual(got, whole.Value) {
			t.Fatalf("%q: got %#v, %v whole and %#v, %v in pieces of %d", b, whole.Value, err, got, pieces, n)
		}
		var streamed Decoder
		streamed.Reset()
		if _, err := streamed.ReadFrom(iotest.OneByteReader(&recording{b: b, n: n})); (err == nil) != (pieces == nil) || err == nil && !reflect.DeepEqual(streamed.Value, got) {
			t.Fatalf("%q: got %#v, %v from a reader and %#v, %v in pieces", b, streamed.Value, err, got, pieces)
		}
		if !done || pieces != nil {
			return // bytes are missing, or there are too many, or it is no reply
		}
		c := &Conn{conn: &recording{b: slices.Concat(b, b), n: n}, in: make([]byte, 0, 8)}
		for range 2 {
			v, err := c.Receive()
			if refusal, refused := err.(pool.Error); refused {
				v, err = refusal, nil
			}
			if err != nil || !reflect.DeepEqual(v, got) {
				t.Fatalf("%q: got %#v, %v on a connection, want %#v", b, v, err, got)
			}
		}
	})
}

func wantContract(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil, string, int64, pool.Error:
	case []any:
		for _, element := range v {
			wantContract(t, element)
		}
	default:
		t.Fatalf("%#v is no reply of a pool", v)
	}
}

// wantNoMoreThan checks the memory after n bytes.
func (d *Decoder) wantNoMoreThan(t *testing.T, n int) {
	t.Helper()
	room := 0
	for _, g := range d.open {
		room += cap(g.values) - 2*len(g.values)
	}
	if cap(d.rest) > 4*n+len(d.small) || len(d.open) > maxDepth || room > maxAhead*maxDepth {
		t.Fatalf("after %d bytes there is memory for %d, in %d groups for %d elements to come", n, cap(d.rest), len(d.open), room)
	}
}
