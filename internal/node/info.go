package node

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseInfo reads the reply to INFO. Servers and services leave fields out.
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
		Minor:     -1,
		Mode:      cmp.Or(fields["redis_mode"], fields["server_mode"], fields["redict_mode"]),
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
	parts := strings.Split(s.Version, ".")
	if n, err := strconv.ParseInt(parts[0], 10, 64); err == nil {
		s.Major = n
	}
	if len(parts) > 1 {
		if n, err := strconv.ParseInt(parts[1], 10, 64); err == nil {
			s.Minor = n
		}
	}
	if s.RunID == "?" {
		s.RunID = "" // or all such servers would count as one
	}
	s.Version = ownVersion(fields)
	for i := 0; s.Mode == "sentinel" && fields[fmt.Sprint("master", i)] != ""; i++ {
		s.Masters = append(s.Masters, masterOf(fields[fmt.Sprint("master", i)]))
	}
	return s
}

// ownVersion is the version as the server counts its own: servers that descend from Redis also
// say which version they are compatible with.
func ownVersion(fields map[string]string) string {
	for _, name := range []string{"valkey", "redict"} {
		if v := fields[name+"_version"]; v != "" {
			return name + " " + v
		}
	}
	version := fields["redis_version"]
	switch name := fields["server_name"]; {
	case name != "" && name != "redis":
		return name + " " + version
	case strings.Contains(fields["executable"], "keydb-server"), fields["role"] == "active-replica":
		return "keydb " + version // it does not say so itself
	}
	return version
}

// masterOf reads a Sentinel's description of a master: "name=x,status=ok,address=h:1,...".
func masterOf(line string) string {
	fields := make(map[string]string)
	for part := range strings.SplitSeq(line, ",") {
		name, value, _ := strings.Cut(part, "=")
		fields[name] = value
	}
	return fields["address"] + " (" + fields["name"] + ")"
}

// word returns a text of a server that may be shown in a line, or "?": it might contain
// anything.
func word(s string) string {
	if len(s) > 200 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "?"
	}
	return s
}

// parseConfig reads the reply to CONFIG GET, names and values in turn, into found.
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

// Blesses reports whether the server has BLESS, which protects single keys from eviction:
// Redis 8.12 and later.
func (s Server) Blesses() bool {
	own := s.Version != "" && s.Version[0] >= '0' && s.Version[0] <= '9'
	return own && (s.Major > 8 || s.Major == 8 && s.Minor >= 12)
}
