// Package register keeps a text for each path on the nodes: an atomic register with many writers
// over a majority (Attiya, Bar-Noy and Dolev, "Sharing memory robustly in message-passing
// systems", 1995). What was written before a read began is found by it, or something later, as
// long as a majority answers.
//
//	register.go  read: the largest version of a majority, written back where answers differ
//	write.go     write: in two trips, or in one for the holder of a lock
//	led.go       read, and which lock is held by the writer
//	watch.go     watch: what each watcher is told
//	topic.go     watch: when a path is read for all its watchers
//
// Why a read writes back: the writer may have reached one node only. A reader that met that node
// has returned its text. The next reader may not meet it, and must not return an older one.
//
// Why a write asks first: it has to be later than all writes that have ended, and nodes compare
// versions, not times. Two that ask at the same time take the same number. Then the writers'
// random numbers decide. To send a time without asking, and to repeat that with a later one
// where it is refused, is no register: the first text may have been read from one node, then
// another text, and then the first one again.
package register

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

// Registers are those of one Locker.
type Registers struct {
	Config
	topics topics
}

// A Config is what Registers need of their Locker.
type Config struct {
	Group   *fanout.Group
	Timeout time.Duration // for the answer of a node
	Closing <-chan struct{}
	// Subscribe has notify called for every event on a channel, until stop is called.
	Subscribe func(channel string, notify func(pool.Event)) (stop func())
	// FlagTTL is how long a watcher's flag lives at the lock of a writer.
	FlagTTL time.Duration
	// Key is the key of a path, or why there is none.
	Key func(path string) (string, error)
	// Enter begins a call that Close waits for; Leave ends it.
	Enter func() error
	Leave func()
	// Failed is the error of a call that too few nodes answered, or did what it asked for.
	Failed func(op, path string, done int, answers []node.Answer) error
	// NotHeld is the error of a write whose lock too many nodes do not have.
	NotHeld func(op, path string) error
	// Interrupted is the error of a call whose ctx has ended.
	Interrupted func(ctx context.Context, op, path string) error
}

// New returns the registers of a Locker.
func New(c Config) *Registers {
	return &Registers{Config: c, topics: topics{byKey: make(map[topicKey]*topic)}}
}

// A Value is what the nodes say about a path.
type Value struct {
	Version node.Version // zero if nothing is known
	Text    string
	Remains time.Duration // how long the text lives; negative if for ever, 0 if it has expired
	// Confirmed is set if a majority has the value: then each read that begins from now on
	// finds it, or a later one.
	Confirmed bool
	// Without are the nodes that answered and did not have it: they were out of reach when it
	// was written, or have forgotten it.
	Without []string
}

// Read returns the newest value of a path.
func (r *Registers) Read(ctx context.Context, op, path string) (Value, error) {
	lock, err := r.Key(path)
	if err != nil {
		return Value{}, err
	}
	key := node.ValueKey(lock)
	answers, err := r.ask(ctx, op, path, func(ended func()) []node.Answer {
		return r.Group.ReadPublished(ctx, key, r.Timeout, r.majorityAnswered, ended)
	})
	if err != nil {
		return Value{}, err
	}
	if largest(answers).Version == (node.Version{}) {
		answers = r.askAll(ctx, key, answers)
	}
	return r.confirm(ctx, op, path, key, answers)
}

// ask asks the nodes. The error is that of a Locker which was closed, of a ctx that has ended, or
// of less than a majority that answered.
func (r *Registers) ask(ctx context.Context, op, path string, send func(ended func()) []node.Answer) ([]node.Answer, error) {
	if err := r.Enter(); err != nil {
		return nil, err
	}
	answers := send(r.Leave)
	if answers == nil {
		return nil, r.Interrupted(ctx, op, path)
	}
	if !r.majorityAnswered(answers) {
		return nil, r.Failed(op, path, answered(answers), answers)
	}
	return answers, nil
}

// patience is how long all nodes are waited for if a majority knows nothing.
const patience = 20 * time.Millisecond

// askAll asks all nodes once more, and waits for a short time for more than a majority. It returns
// the answers before if that brings none. A majority knows nothing, so nothing is there that was
// written to the end, unless nodes have forgotten it. A node that still has it is worth the wait.
func (r *Registers) askAll(ctx context.Context, key string, answers []node.Answer) []node.Answer {
	if r.Enter() != nil {
		return answers
	}
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(patience, cancel)
	defer timer.Stop()
	every := func(again []node.Answer) bool {
		return answered(again) == len(again) || largest(again).Version != (node.Version{}) && r.majorityAnswered(again)
	}
	if again := r.Group.ReadPublished(short, key, r.Timeout, every, r.Leave); again != nil && r.majorityAnswered(again) {
		return again
	}
	return answers
}

// confirm returns the largest value in the answers of a majority, when a majority has it. A node
// that has a larger one by then shows that one instead. Otherwise a reader that was slow could
// find what PublishAs wrote after a larger one was on a majority, and what was refused there.
func (r *Registers) confirm(ctx context.Context, op, path, key string, answers []node.Answer) (Value, error) {
	for {
		v, back, err := r.writeBack(ctx, op, path, key, answers)
		if err != nil || !overtaken(answers, back, v.Version) {
			return v, err
		}
	}
}

// overtaken replaces answers by later ones with a larger version than v, and reports whether there
// were some.
func overtaken(answers, later []node.Answer, v node.Version) (is bool) {
	for i, a := range later {
		if a.Err == nil && a.Status == node.Superseded && a.Record().Compare(v) > 0 {
			answers[i], is = a, true
		}
	}
	return is
}

// writeBack returns the largest value in answers. Where it lacks it is stored, until a majority has
// it or a larger one; back are the answers to that.
func (r *Registers) writeBack(ctx context.Context, op, path, key string, answers []node.Answer) (v Value, back []node.Answer, err error) {
	newest := largest(answers)
	v = Value{Version: newest.Version, Text: newest.Text, Remains: newest.Remains}
	lack := make([]bool, len(answers))
	have := 0
	for i, a := range answers {
		switch {
		case a.Err == nil && a.Record().Version == newest.Version:
			have++
		default:
			lack[i] = true
			if a.Err == nil {
				v.Without = append(v.Without, r.Group.Name(i))
			}
		}
	}
	if v.Confirmed = have >= r.Group.Majority() || newest.Version == (node.Version{}); v.Confirmed {
		return v, nil, nil
	}
	if err := r.Enter(); err != nil {
		return Value{}, nil, err
	}
	p := publication(newest.Version, newest.Text, max(newest.Remains, 0))
	if newest.Remains == 0 { // expired, and a later reader is not to find an earlier text
		p.Kept = memory
	}
	p.Former = true // a larger version comes with its text
	stored := func(answers []node.Answer) int { return have + taken(answers, lack) }
	back = r.Group.Publish(ctx, key, nil, p, lack, r.Timeout, func(answers []node.Answer) bool {
		return stored(answers) >= r.Group.Majority()
	}, nil, r.Leave)
	switch {
	case back == nil:
		return Value{}, nil, r.Interrupted(ctx, op, path)
	case stored(back) >= r.Group.Majority():
		v.Confirmed = true
		return v, back, nil
	case have+taken(back, lack)+refusing(back, lack) >= r.Group.Majority():
		return v, back, nil // this user may read only
	}
	return Value{}, nil, r.Failed(op, path, stored(back), back)
}

// majorityAnswered reports whether a majority has answered.
func (r *Registers) majorityAnswered(answers []node.Answer) bool {
	return answered(answers) >= r.Group.Majority()
}

func answered(answers []node.Answer) (n int) {
	for _, a := range answers {
		if a.Err == nil {
			n++
		}
	}
	return n
}

// taken is how many of the nodes that were asked to store a value have it, or a larger one.
func taken(answers []node.Answer, asked []bool) (n int) {
	for i, a := range answers {
		if asked[i] && a.Err == nil && (a.Status == node.Granted || a.Status == node.Superseded) {
			n++
		}
	}
	return n
}

// refusing is how many of them do not let this user write. A master that cannot write for a while, as one
// that was demoted, is none of them: it may have forgotten the value, and so may the next reader.
func refusing(answers []node.Answer, asked []bool) (n int) {
	for i, a := range answers {
		if asked[i] && a.Err != nil && node.RefusesUser(a.Err) {
			n++
		}
	}
	return n
}

// largest is the record with the largest version. If nodes agree on the version, it is the one
// that lives longest: their clocks may differ.
func largest(answers []node.Answer) (newest node.Record) {
	for _, a := range answers {
		if a.Err != nil {
			continue
		}
		r := a.Record()
		order := r.Compare(newest.Version)
		if order > 0 || order == 0 && newest.Remains >= 0 && (r.Remains < 0 || r.Remains > newest.Remains) {
			newest = r
		}
	}
	return newest
}
