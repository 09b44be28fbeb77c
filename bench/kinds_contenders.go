package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bsm/redislock"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

const (
	setSize = 8  // names of a set
	slots   = 16 // of a semaphore
	share   = 4  // workers to a slot
)

// kindsSettings says how the contenders are set up.
func kindsSettings() string {
	return fmt.Sprintf(`- all on go-redis with default options and a PoolSize of %d; 3 servers, or 1 where it says so
- %s: default options (TTL 8 s); on one connection per server (NewPipelined), or "not pipelined" on the client's pool (New)
- %s: default options (expiry 8 s, 32 tries), a new mutex for every acquisition
- %s: TTL 8 s, one try
`, poolSize(crowd), ours, redsyncDefault, redislocks)
}

// kinds are the contenders, connected once for all rounds: ours are on the same connections in
// all comparisons with three servers.
type kinds struct {
	nodes       servers
	comparisons []*comparison
	writers     []*writerAmongReaders
	permits     []*semaphore.Permit // that make a semaphore half full
	closers     []func() error
}

func (k *kinds) close() error {
	var errs []error
	for _, p := range k.permits {
		errs = append(errs, p.Release(context.Background()))
	}
	for _, c := range k.closers {
		errs = append(errs, c())
	}
	k.nodes.stop()
	return errors.Join(errs...)
}

// connectKinds returns what is to be closed also if it fails.
func connectKinds(o kindsOptions) (k *kinds, err error) {
	k = new(kinds)
	if k.nodes, err = startServers(3); err != nil {
		return k, err
	}
	all := k.nodes.addrs()
	locker, err := k.locker(true, all)
	if err != nil {
		return k, err
	}
	another, err := k.locker(true, all)
	if err != nil {
		return k, err
	}
	one, err := startServers(1) // a server that nobody else uses
	if err != nil {
		return k, err
	}
	k.closers = append(k.closers, func() error { one.stop(); return nil })
	alone, err := k.locker(true, one.addrs())
	if err != nil {
		return k, err
	}
	plain, err := k.locker(false, one.addrs())
	if err != nil {
		return k, err
	}
	theirs, err := redsyncOnGoRedis(false)(all, poolSize(crowd))
	if err != nil {
		return k, err
	}
	single, closeSingle := newGoRedis(one.addrs(), poolSize(1))
	k.closers = append(k.closers, theirs.close, closeSingle)
	free, err := semaphore.New(locker, "free", slots)
	if err != nil {
		return k, err
	}
	halfFull, err := k.fillHalf(locker, another)
	if err != nil {
		return k, err
	}

	lock := func() *side { return o.cycles("Lock", locks(locker)) }
	set := func() *side { return o.cycles("LockAll", sets(locker)) }
	multi := func() *side { return o.cycles(redislocks+", ObtainMulti", obtainMulti(redislock.New(single[0]))) }
	k.comparisons = []*comparison{
		{what: "8 names", ours: set(), peer: lock(), figure: cycleTime, want: bound{limit: 1.5}},
		{what: "a reader", ours: o.cycles("RLock", readers(locker)), peer: lock(), figure: cycleTime, want: bound{limit: 1.15}},
		{what: "a slot of a semaphore of 16, 8 of them held", ours: o.cycles("TryAcquire", trySlots(halfFull)), peer: lock(), figure: cycleTime, want: bound{limit: 1.3}},
		{what: "8 names", ours: set(), peer: o.cycles(redsyncDefault+", 8 mutexes", oneByOne(theirs)), figure: perSecond, want: bound{least: true, limit: 6}},
		{what: "8 names, n=1", ours: o.cycles("LockAll", sets(alone)), peer: multi(), figure: perSecond, want: bound{least: true, limit: 1}},
		{what: "8 names, n=1, not pipelined", ours: o.cycles("LockAll, not pipelined", sets(plain)), peer: multi(), figure: perSecond, want: bound{least: true, limit: 1}},
		{what: "32 workers read one key for 1 ms",
			ours: o.holds("RLock", readers(locker), "read", crowd),
			peer: o.holds(redsyncDefault, theirs, "mutex", crowd), figure: perSecond, want: bound{least: true, limit: 25}},
		{what: "64 workers, 16 slots, 1 ms",
			ours: o.holds("Acquire", waitForSlots(free), "", share*slots),
			peer: o.holds("4 workers, one Lock", locks(locker), "contended", share), times: slots, figure: perSecond, want: bound{least: true, limit: 0.8}},
	}
	k.writers = []*writerAmongReaders{
		newWriter("a writer among 32 readers in its process", locks(locker), readers(locker), o.crowd),
		newWriter("a writer among 32 readers in another one", locks(another), readers(locker), o.crowd),
	}
	return k, nil
}

func (k *kinds) locker(pipelined bool, addrs []string) (*redlock.Locker, error) {
	locker, closeLocker, err := newOurs(goRedis, pipelined, addrs, poolSize(crowd))
	if err == nil {
		k.closers = append(k.closers, closeLocker)
	}
	return locker, err
}

// fillHalf returns a semaphore, half of which another Locker holds.
func (k *kinds) fillHalf(locker, another *redlock.Locker) (*semaphore.Semaphore, error) {
	const name = "half full"
	others, err := semaphore.New(another, name, slots)
	if err != nil {
		return nil, err
	}
	for range slots / 2 {
		p, err := others.Acquire(context.Background(), redlock.WithKeepAlive())
		if err != nil {
			return nil, err
		}
		k.permits = append(k.permits, p)
	}
	return semaphore.New(locker, name, slots)
}

func (k *kinds) stillHalfFull() error {
	for _, p := range k.permits {
		if err := p.Context().Err(); err != nil {
			return fmt.Errorf("%v was lost: the semaphore was not half full all the time: %w", p, err)
		}
	}
	return nil
}

// cycles measures one worker, which nobody is in the way of.
func (o kindsOptions) cycles(name string, s session) *side {
	return &side{newEntry(name), func() measurement {
		l := during(o.length)
		asked := false
		return measure(whole(s), 1, "cycle", limit{more: func() bool {
			first := !asked // at least one, however busy the machine is
			asked = true
			return first || l.more()
		}})
	}}
}

// holds measures workers that want the same key and hold it for a millisecond.
func (o kindsOptions) holds(name string, s session, key string, workers int) *side {
	return &side{newEntry(name), func() measurement {
		before := readUsage()
		all := crowdOf(s, key, workers, o.crowd)
		return ofCrowd(all, o.crowd, readUsage().since(before))
	}}
}

func newEntry(name string) entry { return entry{contender: contender{lib: name, client: goRedis}} }

// ofCrowd counts what was granted in time.
func ofCrowd(all []crowdedWorker, length time.Duration, u usage) measurement {
	r := crowdedResult{Elapsed: length, Workers: all}
	waits := r.waits()
	m := measurement{Cycles: r.grants(), Elapsed: length, Lock: latenciesOf(waits)}
	m.Failed, m.Error = r.failed()
	each := max(1, len(waits))
	m.CPU, m.Allocs, m.Bytes = u.cpu/time.Duration(each), float64(u.allocs)/float64(each), float64(u.bytes)/float64(each)
	return m
}
