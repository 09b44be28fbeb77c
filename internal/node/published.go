package node

import (
	"cmp"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// A Version orders the values that were published under one key. Term, Seq and Writer are
// compared in this order, each below 2^53.
type Version struct{ Term, Seq, Writer int64 }

// Compare is negative if v is the smaller one, and positive if it is the larger one.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Term, w.Term), cmp.Compare(v.Seq, w.Seq), cmp.Compare(v.Writer, w.Writer))
}

// A Record is a value that was published, as one node has it. It is zero if nothing is known.
type Record struct {
	Version
	Remains time.Duration // how long the text still lives; negative if for ever, 0 if it has expired
	Text    string        // empty as well if it was not asked for
}

// A Publication is a value that is to be published.
type Publication struct {
	Version
	Text      string
	Retention time.Duration // how long the text lives, 0 if it has expired: then it is empty
	Kept      time.Duration // how long the version is remembered, not less; 0 if both live for ever
	Former    bool          // the answer is to have a larger version that is there, with its text
}

// published is the part of an Entry that is about a published value.
type published struct {
	key     string // of the value: see ValueKey
	led     bool   // the lock of the writer matters, too
	version bool   // Read: nothing else is asked for
	Publication
}

// ValueKey is the key of what is published under a path, and LeaderKey that of what the leader of
// an election of the same name proclaims: nobody else may write that.
func ValueKey(path string) string  { return SideKey(path, "value") }
func LeaderKey(path string) string { return SideKey(path, "leader") }

// NewRead returns a request to read what is published under a key.
func NewRead(key string) *Request {
	return newPublished(Read, NewEntry(key, ""), published{key: key}, 0)
}

// NewReadVersion returns a request to read the version of what is published under a key. That
// needs no script. What is no published value has no version.
func NewReadVersion(key string) *Request {
	return newPublished(Read, NewEntry(key, ""), published{key: key, version: true}, 0)
}

// NewReadLed returns a request to read what the leader of an election has proclaimed, and which
// value holds its lock, whose key is lock. It leaves the flag of a watcher if flagTTL is not 0.
func NewReadLed(lock string, flagTTL time.Duration) *Request {
	return newPublished(Read, NewEntry(lock, ""), published{key: LeaderKey(lock), led: true}, flagTTL)
}

// NewPublish returns a request to store p under a key, if its version is larger than the one
// there. If lock is not nil it has to be held with its value.
func NewPublish(key string, lock *Entry, p Publication) *Request {
	entry := NewEntry(key, "")
	if lock != nil {
		entry = NewEntry(lock.Key(), lock.Value())
	}
	return newPublished(Publish, entry, published{key: key, led: lock != nil, Publication: p}, 0)
}

func newPublished(verb Verb, e Entry, p published, flagTTL time.Duration) *Request {
	e.rare = &rare{published: &p}
	return NewRequest(verb, e, 0, WaiterFlag{TTL: flagTTL})
}

// publishedScript is which script the request runs.
func (r *Request) publishedScript() lua.Script {
	led := r.entry.rare.published.led
	switch {
	case r.Verb == Read && led:
		return lua.ReadLed
	case r.Verb == Read:
		return lua.Read
	case led:
		return lua.PublishHeld
	}
	return lua.Publish
}

// publishedArgs appends the keys and the arguments of that script.
func (r *Request) publishedArgs(to []any, script lua.Script, flag *WaiterFlag) []any {
	p := r.entry.rare.published
	switch script {
	case lua.Read:
		return append(to, int64(1), p.key)
	case lua.ReadLed:
		return append(to, int64(3), r.entry.key, p.key, SideKey(r.entry.Key(), "wait"), millis(flag.TTL))
	case lua.PublishHeld:
		to = append(to, int64(2), r.entry.key, p.key, r.entry.value)
	default:
		to = append(to, int64(1), p.key)
	}
	return append(to, p.record(), millis(p.Kept), flagArg(p.Former))
}

// record is what the key is to hold.
func (p *Publication) record() string {
	extra := int64(0)
	if p.Kept > 0 {
		extra = millis(p.Kept) - millis(p.Retention)
	}
	return lua.Header(p.Term, p.Seq, p.Writer, extra) + p.Text
}

func flagArg(set bool) int64 {
	if set {
		return 1
	}
	return 0
}

// readsVersion reports whether the request is of NewReadVersion.
func (r *Request) readsVersion() bool { return r.Verb == Read && r.entry.rare.published.version }

// versionIn reads the reply to NewReadVersion.
func (r *Request) versionIn(reply any) (a Answer) {
	header, ok := reply.(string)
	if !ok {
		return r.unexpected(reply)
	}
	a.Status = Absent
	if record, ok := recordOf(header, int64(0), ""); ok {
		a.setRecord(record)
	}
	return a
}

// readPublished reads the reply of that script.
func (r *Request) readPublished(reply any) Answer {
	switch {
	case r.readsVersion():
		return r.versionIn(reply)
	case r.Verb == Publish && reply == int64(1):
		return Answer{Status: Granted}
	case r.Verb == Publish && reply == int64(lua.NotHeld):
		return Answer{Status: Absent}
	}
	list, ok := r.publishedScript().Reply(reply)
	if !ok {
		return r.unexpected(reply)
	}
	lives := "left"
	if r.Verb == Read && r.entry.rare.published.led {
		lives = "lives"
	}
	record, ok := recordOf(list.Get("record"), list.Get(lives), list.Get("text"))
	if !ok {
		return r.unexpected(reply)
	}
	a := Answer{Status: Absent}
	a.setRecord(record)
	switch {
	case r.Verb == Publish:
		a.Status = Superseded
		return a
	case r.entry.rare.published.led:
		switch held := holderOf(list); {
		case list.Get("left") == int64(lua.Free):
		case held.Status == Failed:
			return r.unexpected(reply)
		default:
			a.Status, a.Holder, a.TTL = held.Status, held.Holder, held.TTL
		}
	}
	micros, ok := list.Get("micros").(int64)
	if !ok || micros <= 0 || micros > maxToken {
		return r.unexpected(reply)
	}
	a.Micros = micros
	return a
}

// Record is the answer to Read: what was published there. It is the answer to Publish, too, if the
// Status is Superseded, with the text only if that was asked for.
func (a *Answer) Record() Record {
	return Record{Version{a.Last, a.First, a.LargestToken}, time.Duration(a.Waiting), a.NextWaiter}
}

func (a *Answer) setRecord(r Record) {
	a.Last, a.First, a.LargestToken, a.Waiting, a.NextWaiter = r.Term, r.Seq, r.Writer, int64(r.Remains), r.Text
}

// recordOf reads what a value begins with, how long its key lives, as PTTL says it, and its text.
func recordOf(header, left, text any) (r Record, ok bool) {
	begins, ok1 := header.(string)
	ms, ok2 := left.(int64)
	shown, ok3 := text.(string)
	if !ok1 || !ok2 || !ok3 {
		return Record{}, false
	}
	if begins == "" {
		return Record{}, shown == ""
	}
	r.Text = shown
	var extra int64
	r.Term, r.Seq, r.Writer, extra, ok = lua.ReadHeader(begins)
	if !ok || max(r.Term, r.Seq, r.Writer) > maxToken {
		return Record{}, false
	}
	switch remains := ms - extra; {
	case ms < 0 || remains > longest:
		r.Remains = -time.Millisecond
	case remains > 0:
		r.Remains = time.Duration(remains) * time.Millisecond
	}
	return r, true
}
