package goredis

import (
	"bytes"
	"fmt"
	"io"
	"math/big"
	"strconv"

	"github.com/quorumlock/quorumlock/pool"
)

// decoder is where go-redis writes the bytes of one reply, while it reads them,
// and makes of them what [pool.Pool] promises. Every protocol error, and every
// error reply, is returned to go-redis from the Write that completes it: that is
// how go-redis learns what to do with the connection, exactly as it would from
// its own parser. Only a null is no error here; see [command].
//
// It takes whatever pieces it is given. Memory grows with the bytes that have
// come and not with the lengths that they announce.
type decoder struct {
	value any // the reply, once done
	done  bool

	pushes bool // may stand between replies, and are skipped

	open  []group  // arrays and the like that lack elements, the outermost first
	rest  []byte   // a token that lacks bytes
	small [64]byte // rest's first memory: nulls, integers and a lock's value fit
}

// group is an array, set, map or attribute on its way.
type group struct {
	values    []any
	left      int64 // how many are still to come; maps and attributes count twice
	attribute bool  // or push: stands before a reply and is none, read and forgotten
}

const (
	maxDepth  = 128     // of arrays in arrays: go-redis recurses, and its stack has an end
	maxLength = 1 << 61 // beyond, what is added to a length overflows, in go-redis too
	maxAhead  = 64      // elements for which there is memory before they come
)

func (d *decoder) reset() {
	*d = decoder{}
	d.rest = d.small[:0]
}

// Write implements [io.Writer]. go-redis takes an error seriously only if not
// all bytes were taken.
func (d *decoder) Write(p []byte) (int, error) {
	d.rest = append(d.rest, p...)
	if err := d.decode(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ReadFrom implements [io.ReaderFrom], which spares the buffer that io.Copy
// would make for every bulk string.
func (d *decoder) ReadFrom(r io.Reader) (int64, error) {
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
func (d *decoder) decode() error {
	used := 0
	for used < len(d.rest) {
		if d.done {
			return fmt.Errorf("goredis: %d bytes after the end of a reply", len(d.rest)-used)
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
	if refusal, ok := d.value.(pool.Error); ok {
		return refused(refusal)
	}
	return nil
}

// token takes one token from the front of b, which is a scalar, a bulk string or
// the header of a group, and returns its length: 0 if bytes of it are missing.
func (d *decoder) token(b []byte) (int, error) {
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
		// Those that go-redis leaves in place belong to subscriptions, and the
		// reply to this command would be the next one's.
		if !d.pushes || len(d.open) > 0 {
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
func (d *decoder) begin(kind byte, n int64) {
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

// add adds v to the innermost group, and that to the next if it is full now, and
// so on. What is added to none is the reply.
func (d *decoder) add(v any) {
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
	d.value, d.done = v, true
}

func malformed(b []byte) error {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	return fmt.Errorf("goredis: malformed reply: %.40q", line)
}
