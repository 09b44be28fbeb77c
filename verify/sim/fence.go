package main

import (
	"strconv"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// A fence is what fence.lua finds out before acquire_or_flag.lua and acquire_in_turn.lua begin.
type fence struct {
	command
	on          bool
	largest     string
	refusal     int64 // why the token is not taken, 0 if it is
	granted     any   // what the script replies if it is
	token, life int64
}

// day is in microseconds.
const day = 86_400_000_000

func (s command) fence() fence {
	if s.key("fence") == "" {
		return fence{command: s}
	}
	retake := s.given("retake")
	f := fence{command: s, on: true, largest: "0", token: s.number("token"), life: s.number("tokenTTL"), granted: s.micros}
	if off := f.token - s.micros; -100_000 <= off && off <= 100_000 {
		f.granted = int64(lua.NoNews)
	}
	if largest, found := s.get(s.key("fence")); found {
		f.largest = largest
	}
	known, _ := strconv.ParseInt(f.largest, 10, 64)
	switch {
	case retake: // of a lock that is held: nothing is handed out
		f.token = max(f.token, known)
	case f.token <= known, f.token <= s.micros-1000*f.life:
		f.refusal = lua.TooSmall
	case f.token-max(s.micros, known) > day:
		f.refusal = lua.TooLarge
	}
	return f
}

// onto adds to a reply what is known about tokens.
func (f fence) onto(reply ...any) any {
	if f.on {
		reply = append(reply, f.largest, f.micros)
	}
	return reply
}

// remember stores the token that is taken.
func (f fence) remember() {
	if f.on {
		ahead := max(0, (f.token-f.micros+999)/1000) // rounded up, if it is ahead
		f.set(f.key("fence"), strconv.FormatInt(f.token, 10), f.life+ahead)
	}
}
