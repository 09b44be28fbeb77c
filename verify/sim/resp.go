package main

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/quorumlock/quorumlock/pool"
)

// What clients and servers say to each other on a connection, as far as a server needs it.

// A push is what a server says without being asked.
type push []any

var errProtocol = errors.New("this is no command in RESP")

// cutCommand cuts a command off the beginning of b. It returns no arguments if there is no
// whole one yet.
func cutCommand(b []byte) (args []any, rest []byte, err error) {
	n, after, err := length(b, '*')
	if n == 0 || err != nil {
		return nil, b, err
	}
	for range n {
		size, text, err := length(after, '$')
		if text == nil || err != nil || len(text) < size+2 {
			return nil, b, err
		}
		args, after = append(args, string(text[:size])), text[size+2:]
	}
	return args, after, nil
}

// length reads a line with a number. What follows it is nil if the line is not whole.
func length(b []byte, kind byte) (n int, rest []byte, err error) {
	line, rest, whole := bytes.Cut(b, []byte("\r\n"))
	if !whole {
		return 0, nil, nil
	}
	if len(line) < 2 || line[0] != kind {
		return 0, nil, errProtocol
	}
	n, err = strconv.Atoi(string(line[1:]))
	return n, rest, err
}

// appendReply appends a reply to b, in the second or the third version of the protocol.
func appendReply(b []byte, reply any, third bool) []byte {
	line := func(kind byte, n int) {
		b = append(strconv.AppendInt(append(b, kind), int64(n), 10), "\r\n"...)
	}
	elements := func(all []any) {
		for _, element := range all {
			b = appendReply(b, element, third)
		}
	}
	switch reply := reply.(type) {
	case int64:
		line(':', int(reply))
	case string:
		line('$', len(reply))
		b = append(append(b, reply...), "\r\n"...)
	case status:
		b = append(append(append(b, '+'), reply...), "\r\n"...)
	case pool.Error:
		b = append(append(append(b, '-'), reply...), "\r\n"...)
	case push:
		kind := byte('*')
		if third {
			kind = '>'
		}
		line(kind, len(reply))
		elements(reply)
	case []any:
		line('*', len(reply))
		elements(reply)
	case nil:
		if third {
			return append(b, "_\r\n"...)
		}
		b = append(b, "$-1\r\n"...)
	}
	return b
}
