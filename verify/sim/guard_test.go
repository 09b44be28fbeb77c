package main

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/internal/redisproc"
)

// Twins are a server and its model, to which the same happens.
type twins struct {
	t     *testing.T
	real  *redisproc.Server
	model *modelPool
}

// both has the server do a command, and the model what it means.
func (w twins) both(model func(s *store), args ...string) any {
	w.t.Helper()
	reply, err := w.real.Do(args...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	if model != nil {
		model(w.model.store)
	}
	return reply
}

// start starts the server again, if it is not new. The model gets the run id of the server.
func (w twins) start(again func() error) {
	w.t.Helper()
	if again != nil {
		if err := again(); err != nil {
			w.t.Fatal(err)
		}
		w.model.lose()
		clear(w.model.known)
	}
	info, _ := w.both(nil, "INFO", "server").(string)
	_, id, _ := strings.Cut(info, "run_id:")
	if w.model.run, _, _ = strings.Cut(id, "\r\n"); len(w.model.run) != 40 {
		w.t.Fatalf("%q is no run id", w.model.run)
	}
}

// happen does what makes a server forget, or be another one, and what ends a quarantine.
func (w twins) happen(random *rand.Rand) (did string) {
	in := func(n int) bool { return random.IntN(n) == 0 }
	set := func(text string) {
		w.both(func(s *store) { s.keys[marker] = &entry{text: text} }, "SET", marker, text)
	}
	switch {
	case in(6):
		w.both(func(s *store) { s.del(quarantine) }, "DEL", quarantine)
		return "the quarantine ends"
	case in(40):
		w.both(func(s *store) { s.del(marker) }, "DEL", marker)
		return "the marker is gone"
	case in(40):
		set("0123456789abcdef 3 32400000 36000000")
		return "the data is another server's"
	case in(80):
		set("gibberish")
		return "the marker is something else"
	case in(80):
		set(w.model.run + " 4 1000 1010")
		return "others lock here"
	case in(80):
		w.both(func(s *store) { clear(s.keys) }, "FLUSHALL")
		return "it is flushed"
	}
	return ""
}

// markers is what the guard keeps at the server and at the model.
func (w twins) markers() (real, model []any) {
	real = []any{w.both(nil, "GET", marker), w.both(nil, "PTTL", quarantine)}
	w.both(func(s *store) {
		s.now = w.model.clock.micros() / 1000
		var kept any
		if text, there := s.get(marker); there {
			kept = text
		}
		model = []any{kept, s.pttl(quarantine)}
	}, "PING")
	return real, model
}

// keptScript says of keys how long they live, and of those of readers their members.
const keptScript = `local all = {}
for _, key in ipairs(KEYS) do
  all[#all + 1] = redis.call('PTTL', key)
  if redis.call('TYPE', key).ok == 'zset' then
    all[#all + 1] = redis.call('ZRANGE', key, '0', '-1')
  end
end
return all`

// kept is what the server and the model keep of locks.
func (w twins) kept(key string) (real, model any) {
	args := []string{"EVAL", keptScript, "24"}
	for _, lock := range []string{key, key + " 2", key + " 3", key + "/"} {
		args = append(args, lock)
		for _, side := range []string{"wait", "intent", "queue", "lease", "fence"} {
			args = append(args, "{"+lock+"}:"+side)
		}
	}
	all := []any{}
	real = w.both(func(s *store) {
		s.now = w.model.clock.micros() / 1000
		for _, k := range args[3:] {
			all = append(all, s.pttl(k))
			if e := s.find(k); e != nil && e.line != nil {
				members := []any{}
				for _, m := range s.members(k) {
					members = append(members, m)
				}
				all = append(all, members)
			}
		}
	}, args...)
	return real, all
}
