package main

import "strconv"

// A fence is what fence.lua finds out before wait.lua and turn.lua begin.
type fence struct {
	command
	on          bool
	newest      string
	refusal     int64 // why the token is not taken, 0 if it is
	granted     any   // what the script replies if it is
	token, life int64
}

// day is in microseconds.
const day = 86_400_000_000

func (s command) fence() fence {
	if s.sides.fence == "" {
		return fence{command: s}
	}
	again := s.argv[len(s.argv)-1] == "again"
	if again {
		s.argv = s.argv[:len(s.argv)-1]
	}
	given := len(s.argv) - 2
	f := fence{command: s, on: true, newest: "0", token: number(s.argv[given]), life: number(s.argv[given+1]), granted: s.micros}
	f.argv = f.argv[:given]
	if off := f.token - s.micros; -100_000 <= off && off <= 100_000 {
		f.granted = int64(1)
	}
	if newest, found := s.get(s.sides.fence); found {
		f.newest = newest
	}
	known, _ := strconv.ParseInt(f.newest, 10, 64)
	switch {
	case again: // of a lock that is held: nothing is handed out
		f.token = max(f.token, known)
	case f.token <= known, f.token <= s.micros-1000*f.life:
		f.refusal = -3
	case f.token-max(s.micros, known) > day:
		f.refusal = -4
	}
	return f
}

// onto adds to a reply what is known about tokens.
func (f fence) onto(reply ...any) any {
	if f.on {
		reply = append(reply, f.newest, f.micros)
	}
	return reply
}

// remember stores the token that is taken.
func (f fence) remember() {
	if f.on {
		ahead := max(0, (f.token-f.micros+999)/1000) // rounded up, if it is ahead
		f.set(f.sides.fence, strconv.FormatInt(f.token, 10), f.life+ahead)
	}
}
