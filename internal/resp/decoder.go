// Package resp reads and writes the protocol of Redis, RESP2 and RESP3, for adapters that do it
// themselves. Replies have the form that [pool.Pool] promises.
package resp

import (
	"bytes"
	"fmt"
	"io"
	"math/big"
	"strconv"

	"github.com/quorumlock/quorumlock/pool"
)

// A Decoder turns the bytes of one reply into the reply that [pool.Pool] promises. The bytes may
// come in pieces of any size, by Write or ReadFrom. Memory grows with the bytes that have
// arrived, not with the lengths that they announce.
//
// It is ready after Reset. After an error it is of no use before the next Reset.
type Decoder struct {
	Value any // the reply, once Done; an error reply is a pool.Error
	Done  bool

	// Pushes are allowed between replies, and are skipped.
	Pushes bool

	open  []group  // incomplete arrays, sets and maps, the outermost first
	rest  []byte   // an incomplete token
	small [64]byte // the first memory of rest: nulls, integers and a lock's value fit
}

// group is an incomplete array, set, map, attribute or push.
type group struct {
	values    []any
	left      int64 // how many are still to come; maps and attributes count twice
	attribute bool  // an attribute or push: it precedes a reply, and is discarded
}

const (
	maxDepth  = 128     // of nested arrays: clients recurse, and a stack is finite
	maxLength = 1 << 61 // a larger length overflows when something is added
	maxAhead  = 64      // elements for which memory is allocated before they arrive
)

// Reset prepares for the next reply.
func (d *Decoder) Reset() {
	*d = Decoder{}
	d.rest = d.small[:0]
}

// Write implements [io.Writer]. No bytes were taken if it returns an error.
func (d *Decoder) Write(p []byte) (int, error) {
	d.rest = append(d.rest, p...)
	if err := d.decode(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ReadFrom implements [io.ReaderFrom]. It reads to the end, and takes no bytes if it returns an error
// of its own.
func (d *Decoder) ReadFrom(r io.Reader) (int64, error) {
	for read := int64(0); ; {
		if len(d.rest) == cap(d.rest) {
			d.rest = append(d.rest, 0)[:len(d.rest)]
		}
		n, err := r.Read(d.rest[len(d.rest):cap(d.rest)])
		d.rest = d.rest[:len(d.rest)+n]
		read += int64(n)
		switch {
		case err == nil:
			continue
		case err != io.EOF:
			return read, err
		}
		if err := d.decode(); err != nil {
			return 0, err
		}
		return read, nil
	}
}

// decode takes the complete tokens out of rest.
func (d *Decoder) decode() error {
	used := 0
	for used < len(d.rest) {
		if d.Done {
			return fmt.Errorf("resp: %d bytes after the end of a reply", len(d.rest)-used)
		}
		n, err := d.token(d.rest[used:])
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		used += n
	}
	d.rest = append(d.rest[:0], d.rest[used:]...)
	return nil
}

// token decodes one token at the front of b: a scalar, a bulk string or the header of a
// group. It returns the token's length, or 0 if bytes of it are missing.
func (d *Decoder) token(b []byte) (int, error) {
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 {
		return 0, nil
	}
	if end < 3 || b[end-2] != '\r' {
		return 0, malformed(b)
	}
	kind, line := b[0], b[1:end-2]
	switch kind {
	case '$', '=', '!', '*', '~', '%', '|':
	case '>':
		// Elsewhere a push would be taken for a reply, and each reply would go to the next command.
		if !d.Pushes || len(d.open) > 0 {
			return 0, malformed(b)
		}
	default:
		v, ok := scalar(kind, line)
		if !ok {
			return 0, malformed(b)
		}
		d.add(v)
		return end, nil
	}

	n, err := strconv.ParseInt(string(line), 10, 64)
	switch {
	case err != nil || n < -1 || n > maxLength || n == -1 && (kind == '|' || kind == '>'):
		return 0, malformed(b)
	case n == -1:
		d.add(nil)
		return end, nil
	case kind != '$' && kind != '=' && kind != '!':
		if len(d.open) == maxDepth {
			return 0, malformed(b)
		}
		d.begin(kind, n)
		return end, nil
	case int64(len(b)-end) < n+2:
		return 0, nil
	}
	body, after := b[end:end+int(n)], b[end+int(n):]
	v, ok := bulk(kind, body)
	if !ok || after[0] != '\r' || after[1] != '\n' {
		return 0, malformed(b)
	}
	d.add(v)
	return end + int(n) + 2, nil
}

func scalar(kind byte, line []byte) (v any, ok bool) {
	switch kind {
	case '+':
		return string(line), true
	case '-':
		return pool.Error(line), true
	case ':':
		n, err := strconv.ParseInt(string(line), 10, 64)
		return n, err == nil
	case ',':
		_, err := strconv.ParseFloat(string(line), 64)
		return string(line), err == nil
	case '(':
		_, ok := new(big.Int).SetString(string(line), 10)
		return string(line), ok
	case '#':
		if string(line) == "t" {
			return int64(1), true
		}
		return int64(0), string(line) == "f"
	case '_':
		return nil, len(line) == 0
	}
	return nil, false
}

func bulk(kind byte, body []byte) (v any, ok bool) {
	switch {
	case kind == '!':
		return pool.Error(body), true
	case kind == '$':
		return string(body), true
	case len(body) < 4 || body[3] != ':':
		return nil, false
	}
	return string(body[4:]), true // verbatim: three letters for the format
}

// begin opens a group of n elements, or pairs.
func (d *Decoder) begin(kind byte, n int64) {
	if kind == '%' || kind == '|' {
		n *= 2
	}
	g := group{left: n, attribute: kind == '|' || kind == '>'}
	switch {
	case g.attribute && n == 0:
	case n == 0:
		d.add([]any{})
	default:
		if !g.attribute {
			g.values = make([]any, 0, min(n, maxAhead))
		}
		d.open = append(d.open, g)
	}
}

// add adds v to the innermost group. A group that is complete is added to the next one. With
// no group open, v is the reply.
func (d *Decoder) add(v any) {
	for len(d.open) > 0 {
		last := len(d.open) - 1
		g := &d.open[last]
		if !g.attribute {
			g.values = append(g.values, v)
		}
		if g.left--; g.left > 0 {
			return
		}
		full := *g
		d.open = d.open[:last]
		if full.attribute {
			return
		}
		v = full.values
	}
	d.Value, d.Done = v, true
}

func malformed(b []byte) error {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	return fmt.Errorf("resp: malformed reply: %.40q", line)
}
