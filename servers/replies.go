package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
)

// subject is a server that is asked.
type subject struct {
	addr  string
	start func(args ...string) (*redisproc.Server, error)
}

const notTried = "not tried" // on a server in memory

// fresh sends commands on one new connection and returns the last reply.
func (s *subject) fresh(commands ...[]string) string {
	c, err := dial(s.addr)
	if err != nil {
		return "closed: " + end(err)
	}
	defer c.Close()
	reply := ""
	for _, command := range commands {
		reply = c.do(command...)
	}
	return reply
}

func words(line string) []string { return strings.Split(line, " ") }

// says sends commands, each a line of words.
func says(lines ...string) func(*subject) string {
	return func(s *subject) string {
		var commands [][]string
		for _, line := range lines {
			commands = append(commands, words(line))
		}
		return s.fresh(commands...)
	}
}

// runs evaluates a script with one key, after other commands.
func runs(script, key string, before ...string) func(*subject) string {
	return func(s *subject) string {
		var commands [][]string
		for _, line := range before {
			commands = append(commands, words(line))
		}
		return s.fresh(append(commands, []string{"EVAL", script, "1", key})...)
	}
}

// compared asks a command that compares of a key that is equal, of another, and of none.
func compared(command string) func(*subject) string {
	return func(s *subject) string {
		var replies []string
		for _, before := range []string{"SET k v", "SET k w", "DEL k"} {
			replies = append(replies, s.fresh(words(before), words(command)))
		}
		if replies[0] == replies[1] && replies[1] == replies[2] {
			return replies[0]
		}
		return strings.Join(replies, ", ")
	}
}

// zero looks for a moment in which a key exists with no time left.
func zero(s *subject) string {
	c, err := dial(s.addr)
	if err != nil {
		return "closed: " + end(err)
	}
	defer c.Close()
	for range 200 {
		c.do("SET", "k", "v", "PX", "2")
		for range 200 {
			if err := c.send("PTTL", "k"); err != nil {
				return "closed: " + end(err)
			}
			if err := c.send("EXISTS", "k"); err != nil {
				return "closed: " + end(err)
			}
			left, there := c.next(), c.next()
			if left == ":0" && there == ":1" {
				return "yes"
			}
			if left == ":-2" {
				break
			}
		}
	}
	return "never seen"
}

const twice = `local a = redis.call('TIME')
for i = 1, 4000000 do
	local b = redis.call('TIME')
	local us = (b[1] - a[1]) * 1000000 + b[2] - a[2]
	if us > 0 then return 'moves' end
	if i > 20000 then return 'stands still' end
end`

func clock(s *subject) string { return s.fresh([]string{"EVAL", twice, "0"}) }

func crowd(s *subject) string {
	for begun := time.Now(); ; time.Sleep(time.Millisecond) { // until its client has closed the connection
		first, err := dial(s.addr)
		if err != nil {
			return "closed: " + end(err)
		}
		defer first.Close()
		if first.do("PING") == "PONG" {
			break
		}
		if time.Since(begun) > patience {
			return "never free"
		}
	}
	second, err := dial(s.addr)
	if err != nil {
		return "closed: " + end(err)
	}
	defer second.Close()
	return second.next()
}

// loading asks a server that reads a file slowly.
func loading(command string) func(*subject) string {
	return func(s *subject) string {
		slow, err := s.start("--key-load-delay", "500", "--rdbcompression", "no")
		if err != nil {
			return "not started: " + end(err)
		}
		defer slow.Stop()
		c, err := dial(slow.Addr())
		if err != nil {
			return "closed: " + end(err)
		}
		defer c.Close()
		filler := strings.Repeat("x", 2000) // a loading server handles clients every 2 MB
		for i := range 4000 {
			c.do("SET", strconv.Itoa(i), filler)
		}
		c.do("SAVE")
		up := make(chan error, 1)
		go func() { up <- slow.Restart() }() // ends when the server answers
		defer func() { <-up }()
		for begun := time.Now(); time.Since(begun) < 2*patience; time.Sleep(time.Millisecond) {
			if c, err := dial(slow.Addr()); err == nil {
				state := c.do("INFO", "persistence")
				if strings.Contains(state, "loading:1") {
					reply := c.do(words(command)...)
					c.Close()
					return reply
				}
				c.Close()
			}
		}
		return "never seen"
	}
}

func busy(s *subject) string {
	c, err := dial(s.addr)
	if err != nil {
		return "closed: " + end(err)
	}
	defer c.Close()
	if err := c.send("EVAL", "while true do end", "0"); err != nil {
		return "closed: " + end(err)
	}
	time.Sleep(200 * time.Millisecond)
	reply := s.fresh(words("SET k v NX GET PX 60000"))
	s.fresh(words("SCRIPT KILL"))
	return reply
}

// info lists the fields of INFO that have these names.
func info(names ...string) func(*subject) string {
	return func(s *subject) string {
		text, err := strconv.Unquote(s.fresh(words("INFO server")))
		if err != nil {
			return s.fresh(words("INFO server"))
		}
		var found []string
		for line := range strings.Lines(text) {
			for _, name := range names {
				if strings.Contains(line, name) && !strings.Contains(line, "gcc") {
					found = append(found, strings.TrimSpace(line))
				}
			}
		}
		return strings.Join(found, ", ")
	}
}

func hello(s *subject) string {
	reply := s.fresh(words("HELLO 3"))
	if before, _, there := strings.Cut(reply, ` "id"`); there {
		return before + " ...]"
	}
	return reply
}

// clientInfo lists the fields of CLIENT INFO about the connection.
func clientInfo(s *subject) string {
	reply := s.fresh(words("CLIENT INFO"))
	var found []string
	for _, name := range []string{"db", "user", "resp", "lib-name"} {
		if strings.Contains(reply, " "+name+"=") {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return fmt.Sprintf("%.80s", reply)
	}
	return strings.Join(found, ", ")
}
