package pooltest

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The types of replies. Their form on the wire depends on the protocol of the connection.
type (
	simple    string
	bulk      string
	failure   string
	integer   int64
	null      struct{}
	nullArray struct{}
	array     []any
	set       []any
	pairs     []any // a map: key, value, key, value, ...
	double    string
	boolean   bool
	bigNumber string
	verbatim  string
	raw       string // bytes as they are
)

// encode appends v as Redis writes it in the given protocol. For types that RESP2 lacks, Redis
// sends the nearest type of RESP2.
func encode(b []byte, protocol int, v any) []byte {
	if protocol < 3 {
		v = downgrade(v)
	}
	switch v := v.(type) {
	case raw:
		return append(b, v...)
	case simple:
		return fmt.Appendf(b, "+%s\r\n", string(v))
	case failure:
		return fmt.Appendf(b, "-%s\r\n", string(v))
	case integer:
		return fmt.Appendf(b, ":%d\r\n", int64(v))
	case bulk:
		return fmt.Appendf(b, "$%d\r\n%s\r\n", len(v), string(v))
	case null, nullArray:
		return nothing(b, protocol, v)
	case array:
		return elements(b, '*', len(v), protocol, v)
	case push:
		return elements(b, '>', len(v), protocol, v)
	case set:
		return elements(b, '~', len(v), protocol, v)
	case pairs:
		return elements(b, '%', len(v)/2, protocol, v)
	case double:
		return fmt.Appendf(b, ",%s\r\n", string(v))
	case boolean:
		return fmt.Appendf(b, "#%c\r\n", map[bool]byte{true: 't', false: 'f'}[bool(v)])
	case bigNumber:
		return fmt.Appendf(b, "(%s\r\n", string(v))
	case verbatim:
		return fmt.Appendf(b, "=%d\r\ntxt:%s\r\n", len(v)+4, string(v))
	}
	panic(fmt.Sprintf("pooltest: no encoding for %T", v))
}

func downgrade(v any) any {
	switch v := v.(type) {
	case push:
		return array(v)
	case set:
		return array(v)
	case pairs:
		return array(v)
	case double:
		return bulk(v)
	case bigNumber:
		return bulk(v)
	case verbatim:
		return bulk(v)
	case boolean:
		if v {
			return integer(1)
		}
		return integer(0)
	}
	return v
}

// nothing appends a null, which has three forms.
func nothing(b []byte, protocol int, v any) []byte {
	if protocol >= 3 {
		return append(b, "_\r\n"...)
	}
	if _, isArray := v.(nullArray); isArray {
		return append(b, "*-1\r\n"...)
	}
	return append(b, "$-1\r\n"...)
}

func elements(b []byte, kind byte, n, protocol int, values []any) []byte {
	b = fmt.Appendf(b, "%c%d\r\n", kind, n)
	for _, v := range values {
		b = encode(b, protocol, v)
	}
	return b
}

// readCommand reads one command, an array of bulk strings.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r, '*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := readLength(r, '$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		args[i] = string(text[:size])
	}
	return args, nil
}

func readLength(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" || line[0] != kind {
		return 0, fmt.Errorf("want a line that begins with %q, got %q", kind, line)
	}
	return strconv.Atoi(line[1:])
}
