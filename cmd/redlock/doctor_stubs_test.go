package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// lookalike puts something before a server that changes the SET commands on their way.
func lookalike(t *testing.T, server string, change func(args []string) []string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends when the listener is closed
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends when either side closes
				defer conn.Close()
				to, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(conn, to); _ = conn.Close() }() // ends when the server closes, or to is closed
				defer to.Close()
				for commands := bufio.NewReader(conn); ; {
					args, err := readArgs(commands)
					if err != nil {
						return
					}
					if strings.EqualFold(args[0], "SET") {
						args = change(args)
					}
					fmt.Fprintf(to, "*%d\r\n", len(args))
					for _, arg := range args {
						fmt.Fprintf(to, "$%d\r\n%s\r\n", len(arg), arg)
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// readArgs reads one command: an array of bulk strings.
func readArgs(r *bufio.Reader) (args []string, err error) {
	number := func() int {
		var line string
		if err == nil {
			line, err = r.ReadString('\n')
		}
		n, _ := strconv.Atoi(strings.Trim(line, "*$\r\n"))
		return n
	}
	for range number() {
		b := make([]byte, number()+2)
		if _, e := io.ReadFull(r, b); e != nil {
			return nil, e
		}
		args = append(args, string(b[:len(b)-2]))
	}
	if err == nil && len(args) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return args, err
}

func TestDoctorEndsWith78OnAServerThatDoesOtherwiseThanItSays(t *testing.T) {
	t.Parallel()
	all := startServers(t, 3, "--appendonly", "yes", "--appendfsync", "always")
	for what, change := range map[string]func(args []string) []string{
		"it ignores NX": func(args []string) []string { return slices.DeleteFunc(args, func(a string) bool { return a == "NX" }) },
		"it ignores GET": func(args []string) []string {
			return slices.DeleteFunc(args, func(a string) bool { return a == "GET" })
		},
		"it ignores PX":     func(args []string) []string { return args[:slices.Index(args, "PX")] },
		"it stores nothing": func(args []string) []string { return []string{"GET", args[1]} },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			addr := lookalike(t, all[0].Addr(), change)
			out := unwrapped(start(t, doctorArgs("", all[1:], "--node", "redis://"+addr, "--node-timeout", "2s")...).expectCode(exitUnsafe))
			wantMatch(t, out, `(?m)^`+addr+`\n  error    self-test .*`+what+`.*\n {24}endangers exclusion`)
			wantMatch(t, out, `errors: 1, `)
		})
	}
}
