package register

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
)

// MaxText is how long a text may be, in bytes.
const MaxText = 64 << 10

// memory is for how long a version is remembered at least when its text has expired: so long a
// read says "expired" and not "never published".
const memory = 24 * time.Hour

// publication is what is stored for a text that lives for retention, 0 for ever.
func publication(v node.Version, text string, retention time.Duration) node.Publication {
	p := node.Publication{Version: v, Text: text, Retention: retention}
	if retention > 0 {
		p.Kept = retention + max(retention, memory)
	}
	return p
}

// numbers is the size of terms, sequence numbers and writers: Lua compares them exactly.
const numbers = 1 << 53

func randomWriter() int64 {
	var b [8]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return int64(binary.BigEndian.Uint64(b[:]) % numbers)
}

// next is a version that is larger than one that was seen. It begins with the time of a node: so
// versions go on growing where nodes have forgotten the path, or what came last.
func next(seen node.Version, micros, writer int64) node.Version {
	if micros > seen.Term {
		return node.Version{Term: micros, Writer: writer}
	}
	return node.Version{Term: seen.Term, Seq: seen.Seq + 1, Writer: writer}
}

// Publish writes the text of a path: first it asks a majority for the largest version, then it
// stores the text with a larger one on a majority. A node that has a larger one still by then
// has been written to at the same time, and counts: this text came first, and was replaced.
func (r *Registers) Publish(ctx context.Context, op, path, text string, retention time.Duration) (node.Version, error) {
	lock, err := r.Key(path)
	if err != nil {
		return node.Version{}, err
	}
	key := node.ValueKey(lock)
	v, err := r.larger(ctx, op, path, key)
	if err != nil {
		return node.Version{}, err
	}
	if err := r.Enter(); err != nil {
		return node.Version{}, err
	}
	all := everyone(r.Group.Len())
	stored := r.Group.Publish(ctx, key, nil, publication(v, text, retention), nil, r.Timeout, func(answers []node.Answer) bool {
		return taken(answers, all) >= r.Group.Majority()
	}, nil, r.Leave)
	switch {
	case stored == nil:
		return node.Version{}, r.Interrupted(ctx, op, path)
	case taken(stored, all) < r.Group.Majority():
		return node.Version{}, r.Failed(op, path, taken(stored, all), stored)
	}
	return v, nil
}

// larger is a version that is larger than all that a majority knows, and begins with the time of a
// node: nodes that came back with earlier data know less than was stored. A node that ran a script
// has stated its time, which is then known for a while. Else the read is a script, for that.
func (r *Registers) larger(ctx context.Context, op, path, key string) (node.Version, error) {
	read := r.Group.ReadVersion
	if r.Group.Micros() == 0 {
		read = r.Group.ReadPublished
	}
	answers, err := r.ask(ctx, op, path, func(ended func()) []node.Answer {
		return read(ctx, key, r.Timeout, r.majorityAnswered, ended)
	})
	if err != nil {
		return node.Version{}, err
	}
	return next(largest(answers).Version, r.Group.Micros(), randomWriter()), nil
}

func everyone(n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = true
	}
	return all
}

// ErrSuperseded: another writer has published a larger version.
var ErrSuperseded = errors.New("another writer published a later value")

// A Writer is a held lock with a fencing token, as the writer of paths.
type Writer struct {
	claim *fanout.Claim
	held  func() error // why the lock is not held, nil while it is

	turn chan struct{} // has room for one: the write under way
	next node.Version  // protected by turn: of the next write
}

// NewWriter returns the writer that has the lock of a claim. id tells its versions from those of
// others: see WriterID.
func NewWriter(claim *fanout.Claim, token, id int64, held func() error) *Writer {
	return &Writer{claim: claim, held: held, turn: make(chan struct{}, 1), next: node.Version{Term: token, Writer: id}}
}

// PublishAs writes the text of a path in one trip. Nobody else writes the path, so the version
// need not be asked for: it is the fencing token of the lock, and a number that grows. A node
// stores it only while the lock is held there.
//
// A node with a larger version has it from another writer. If all have, and each got the text
// once, nothing was stored, and it is sent once more with a larger one. Otherwise the error
// matches ErrSuperseded, and it is not sent again: it may have been read, and replaced, and must
// not come back. (A node that got it twice may have stored it the first time.) The next write of w
// has a larger version.
func (r *Registers) PublishAs(ctx context.Context, op, path string, w *Writer, text string, retention time.Duration) (node.Version, error) {
	lock, err := r.Key(path)
	if err != nil {
		return node.Version{}, err
	}
	return r.publishAs(ctx, op, path, node.ValueKey(lock), w, text, retention, nil)
}

// Proclaim is PublishAs of the leader of an election, which has the lock of the same name. stored is
// called for each node that has stored the text, also if that comes late.
func (r *Registers) Proclaim(ctx context.Context, name string, w *Writer, text string, retention time.Duration, stored func(i int, v node.Version)) (node.Version, error) {
	return r.publishAs(ctx, "proclaim", name, node.LeaderKey(w.claim.Key()), w, text, retention, stored)
}

func (r *Registers) publishAs(ctx context.Context, op, path, key string, w *Writer, text string, retention time.Duration, stored func(i int, v node.Version)) (node.Version, error) {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return node.Version{}, r.Interrupted(ctx, op, path)
	}
	for again := false; ; again = true {
		v := w.next
		w.next.Seq++
		answers, err := r.store(ctx, op, path, key, w, publication(v, text, retention), nil, stored)
		if err != nil {
			return node.Version{}, err
		}
		granted, superseded, untouched, lost := 0, 0, 0, 0
		for _, a := range answers {
			switch {
			case a.Err != nil:
			case a.Status == node.Granted:
				granted++
			case a.Status == node.Absent:
				lost++
			case a.Status == node.Superseded:
				superseded++
				if !a.SentBefore {
					untouched++
				}
				if r := a.Record(); r.Compare(w.next) >= 0 {
					w.next.Term, w.next.Seq = r.Term, r.Seq+1
				}
			}
		}
		switch err := w.held(); {
		case err != nil: // what was stored after the end is not confirmed
			return node.Version{}, err
		case granted >= r.Group.Majority():
			return v, nil
		case untouched == len(answers) && !again:
			continue
		case superseded > 0 && granted+superseded >= r.Group.Majority():
			return node.Version{}, ErrSuperseded
		case lost > len(answers)-r.Group.Majority():
			return node.Version{}, r.NotHeld(op, path)
		}
		return node.Version{}, r.Failed(op, path, granted, answers)
	}
}

// Renew stores what was proclaimed last again, where it lacks, or for longer.
func (r *Registers) Renew(ctx context.Context, name string, w *Writer, v node.Version, text string, retention time.Duration, lack []bool, stored func(i int, v node.Version)) error {
	_, err := r.store(ctx, "renew", name, node.LeaderKey(w.claim.Key()), w, publication(v, text, retention), lack, stored)
	return err
}

func (r *Registers) store(ctx context.Context, op, path, key string, w *Writer, p node.Publication, to []bool, stored func(i int, v node.Version)) ([]node.Answer, error) {
	if err := w.held(); err != nil {
		return nil, err
	}
	if err := r.Enter(); err != nil {
		return nil, err
	}
	enough := func(answers []node.Answer) bool {
		n := 0
		for _, a := range answers {
			if a.Err == nil && a.Status == node.Granted {
				n++
			}
		}
		return n >= r.Group.Majority()
	}
	var every func(i int, a node.Answer)
	if stored != nil {
		every = func(i int, a node.Answer) {
			if a.Err == nil && a.Status == node.Granted {
				stored(i, p.Version)
			}
		}
	}
	answers := r.Group.Publish(ctx, key, w.claim, p, to, r.Timeout, enough, every, r.Leave)
	if answers == nil {
		return nil, r.Interrupted(ctx, op, path)
	}
	return answers, nil
}
