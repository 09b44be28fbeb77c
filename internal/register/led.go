package register

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
)

// A Led is what the nodes say about an election: what its leader has proclaimed, and its lock.
type Led struct {
	Value         // zero unless Holder wrote it
	Holder string // the value that holds the lock on a majority, "" if there is none
	TTL    time.Duration
}

// WriterID is the number that tells the versions of the holder of a lock from those of others. It
// is part of the nonce in value; -1 if value is not that of a lock of this library.
func WriterID(value string) int64 {
	nonce, ok := strings.CutPrefix(value, "rl1:")
	if !ok || len(nonce) < 13 {
		return -1
	}
	id, err := strconv.ParseInt(nonce[:13], 16, 64)
	if err != nil {
		return -1
	}
	return id
}

// ReadLed returns what the leader of an election has proclaimed last. A holder of the lock that has
// not written yet, and a value whose writer holds the lock no more, are none. Watchers are notified
// of the release of the lock if flag is set.
func (r *Registers) ReadLed(ctx context.Context, op, path string, flag bool) (Led, error) {
	key, err := r.Key(path)
	if err != nil {
		return Led{}, err
	}
	var flagTTL time.Duration
	if flag {
		flagTTL = r.FlagTTL
	}
	answers, err := r.ask(ctx, op, path, func(ended func()) []node.Answer {
		return r.Group.ReadLed(ctx, key, r.Timeout, flagTTL, func(answers []node.Answer) bool {
			_, nodes := fanout.Mostly(answers)
			return nodes >= r.Group.Majority()
		}, ended)
	})
	if err != nil {
		return Led{}, err
	}
	most, nodes := fanout.Mostly(answers)
	if nodes < r.Group.Majority() {
		if held, failed := fanout.HeldMost(answers), len(answers)-answered(answers); held+failed >= r.Group.Majority() {
			return Led{}, r.Failed(op, path, held, answers) // the nodes that failed decide
		}
		return Led{}, nil // the vote is split
	}
	value := most.Value
	if !most.Held {
		return Led{}, nil
	}
	l := Led{Holder: value}
	for _, a := range answers {
		if a.Status == node.Taken && a.Holder == value && (l.TTL == 0 || a.TTL < l.TTL) {
			l.TTL = a.TTL
		}
	}
	if newest := largest(answers); newest.Version == (node.Version{}) || newest.Writer != WriterID(value) {
		return l, nil
	}
	found, err := r.confirm(ctx, op, path, node.LeaderKey(key), answers)
	if found.Version.Writer == WriterID(value) { // or else the next holder has written meanwhile
		l.Value = found
	}
	return l, err
}

// Former returns the last value of an election, as a majority of the nodes has it on which w holds
// its lock.
//
// What a former holder of the lock has written to a majority is found: it stored that on one of
// these nodes before w got the lock there, and nothing since. While clocks are right any majority
// would do: nobody else was certain to hold the lock since w got it. This holds where the clock of
// the former holder is wrong, too, unless it takes nodes back that w has lost (election.pml).
func (r *Registers) Former(ctx context.Context, op, path string, w *Writer) (Value, error) {
	key, err := r.Key(path)
	if err != nil {
		return Value{}, err
	}
	mine := func(answers []node.Answer) (n int) {
		for _, a := range answers {
			if a.Err == nil && a.Holder == w.claim.Value() {
				n++
			}
		}
		return n
	}
	answers, err := r.ask(ctx, op, path, func(ended func()) []node.Answer {
		return r.Group.ReadLed(ctx, key, r.Timeout, 0, func(answers []node.Answer) bool {
			return mine(answers) >= r.Group.Majority()
		}, ended)
	})
	if err != nil {
		return Value{}, err
	}
	if mine(answers) < r.Group.Majority() {
		return Value{}, r.Failed(op, path, mine(answers), answers)
	}
	newest := largest(answers)
	return Value{Version: newest.Version, Text: newest.Text, Remains: newest.Remains}, nil
}
