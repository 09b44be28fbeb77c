package pooltest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
)

func written(args []any) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		text := fmt.Sprint(arg)
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(text), text)
	}
	return b
}

func (p *reference) read(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if line = strings.TrimSuffix(line, "\r\n"); line == "" {
		return nil, errors.New("empty line")
	}
	switch rest := line[1:]; line[0] {
	case '+':
		return rest, nil
	case '-':
		return pool.Error(rest), nil
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	case '$', '*':
		n, err := strconv.Atoi(rest)
		if err != nil {
			return nil, err
		}
		if n < 0 {
			if p.fault == "fills" {
				return "", nil
			}
			return nil, nil
		}
		if line[0] == '*' {
			return p.readAll(r, n)
		}
		text := make([]byte, n+2)
		if _, err := io.ReadFull(r, text); err != nil {
			if p.fault == "truncates" {
				return string(text), nil
			}
			return nil, err
		}
		return string(text[:n]), nil
	}
	return nil, fmt.Errorf("no reply: %q", line)
}

func (p *reference) readAll(r *bufio.Reader, n int) (any, error) {
	values := make([]any, n)
	for i := range values {
		v, err := p.read(r)
		if err != nil {
			return nil, err
		}
		if failure, ok := v.(pool.Error); ok && p.fault == "flattens" {
			return failure, nil
		}
		values[i] = v
	}
	return values, nil
}
