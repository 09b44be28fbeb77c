package node

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseInfo reads the reply to INFO. Servers and services leave out what they like.
func parseInfo(text string) Server {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			fields[name] = word(value)
		}
	}
	number := func(name string) int64 {
		n, err := strconv.ParseInt(fields[name], 10, 64)
		if err != nil {
			return -1
		}
		return n
	}
	s := Server{
		Version:   fields["redis_version"],
		Major:     -1,
		RunID:     fields["run_id"],
		Mode:      fields["redis_mode"],
		Role:      fields["role"],
		Uptime:    time.Duration(number("uptime_in_seconds")) * time.Second,
		Replicas:  number("connected_slaves"),
		Loading:   number("loading"),
		Used:      number("used_memory"),
		Max:       number("maxmemory"),
		Policy:    fields["maxmemory_policy"],
		Evicted:   number("evicted_keys"),
		AOF:       number("aof_enabled"),
		AOFWrites: fields["aof_last_write_status"],
		Clients:   number("connected_clients"),
		MaxClient: number("maxclients"),
	}
	major, _, _ := strings.Cut(s.Version, ".")
	if n, err := strconv.ParseInt(major, 10, 64); err == nil {
		s.Major = n
	}
	if s.RunID == "?" {
		s.RunID = "" // or all such servers would be one
	}
	if v := fields["valkey_version"]; v != "" {
		s.Version = "valkey " + v
	}
	return s
}

// word returns a text of a server that may be shown in a line, or "?": it might
// contain anything.
func word(s string) string {
	if len(s) > 200 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "?"
	}
	return s
}

// parseConfig takes the reply to CONFIG GET in: names and values, flat.
func parseConfig(reply any, found map[string]string) error {
	pairs, ok := reply.([]any)
	if !ok || len(pairs)%2 != 0 {
		return fmt.Errorf("unexpected reply %T to CONFIG GET", reply)
	}
	for i := 0; i < len(pairs); i += 2 {
		name, ok1 := pairs[i].(string)
		value, ok2 := pairs[i+1].(string)
		if ok1 && ok2 {
			found[name] = word(value)
		}
	}
	return nil
}

var errNoTime = errors.New("unexpected reply to TIME")

// parseTime reads the reply to TIME: seconds and microseconds, as texts.
func parseTime(reply any) (time.Duration, error) {
	pair, ok := reply.([]any)
	if !ok || len(pair) != 2 {
		return 0, errNoTime
	}
	var parts [2]int64
	for i, p := range pair {
		text, ok := p.(string)
		n, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil {
			return 0, errNoTime
		}
		parts[i] = n
	}
	return time.Duration(parts[0])*time.Second + time.Duration(parts[1])*time.Microsecond, nil
}
