package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	goredisv9 "github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// workerCommand makes this program a worker.
const workerCommand = "worker"

// wrapPools makes of the pools what the lock sees. A test has them answer wrongly.
var wrapPools = func(pools []pool.Pool) []pool.Pool { return pools }

// A task is the only argument of a worker.
type task struct {
	Run      Run
	Process  int
	Life     int      // how many were killed before it
	Clients  []int    // indexes into the run's
	Nodes    []string // addresses, through the links
	Resource string
	Origin   time.Duration
}

// A word is a line that a worker says on its stdout.
type word struct {
	Ready     bool   `json:",omitempty"`
	Try       *Try   `json:",omitempty"` // that is over
	Going     *step  `json:",omitempty"` // how far one has come
	Asking    *Use   `json:",omitempty"` // a write that begins now
	Use       *Use   `json:",omitempty"` // that is over
	Closed    bool   `json:",omitempty"` // all has ended
	Unsettled string `json:",omitempty"` // with Closed: what could not be settled
}

// A step says how far a try has come, in case that its process is killed. It is said before
// anything is done that others can see: it is read also if its process is dead.
type step struct {
	Try             // without its writes
	Index int       `json:",omitempty"` // of the first of Pair among the writes
	Pair  *[2]Write `json:",omitempty"` // the writes that are being made
	Done  string    `json:",omitempty"` // the name of what is being done: a claim or a write
}

// A worker is a process that has a Locker, and some clients that share it.
type worker struct {
	task
	clock    clock
	locker   *redlock.Locker
	resource resource
	values
	semaphores map[string]*semaphore.Semaphore
	calm       atomic.Bool // the faults have ended

	mu  sync.Mutex // protects out
	out *json.Encoder
}

// beWorker is what a worker does: it says that it is ready, works until the faults
// have ended (a first line on its stdin), gets every lock once more, and ends at the end
// of its stdin. Without its parent it finds that at once.
func beWorker(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("a worker takes one argument")
	}
	w := &worker{out: json.NewEncoder(out)}
	if err := json.Unmarshal([]byte(args[0]), &w.task); err != nil {
		return err
	}
	goredisv9.SetLogger(noLog{})
	w.clock = clock{w.Origin}
	pools, closePools, err := open(w.Run.Clients[w.Clients[0]].Adapter, w.Nodes)
	if err != nil {
		return err
	}
	w.resource = openResource(w.Resource)
	w.locker, err = redlock.New(wrapPools(pools), w.options()...)
	if err != nil {
		return errors.Join(err, closePools(), w.resource.close())
	}
	over := make(chan struct{})
	go func() { // ends with stdin, or with this process
		defer close(over)
		lines := bufio.NewScanner(in)
		if lines.Scan() {
			w.calm.Store(true)
			for lines.Scan() {
			}
			return
		}
		os.Exit(0) // the parent is gone
	}()
	stopWatching, err := w.openValues()
	if err == nil {
		err = w.openSemaphores()
	}
	if err != nil {
		return errors.Join(err, closePools(), w.resource.close())
	}
	w.say(word{Ready: true})
	var all sync.WaitGroup
	for _, c := range w.Clients {
		all.Go(func() { w.work(c) })
	}
	all.Wait()
	stopWatching()
	ctx, cancel := context.WithTimeout(context.Background(), closeBound(w.Run.TTL))
	defer cancel()
	last := word{Closed: true}
	if err := w.locker.Close(ctx); err != nil {
		last.Unsettled = err.Error()
	}
	err = errors.Join(closePools(), w.resource.close())
	w.say(last)
	<-over
	return err
}

func (w *worker) options() []redlock.Option {
	opts := []redlock.Option{
		redlock.WithTTL(w.Run.TTL), redlock.WithNodeTimeout(w.Run.TTL / 10), redlock.WithOwner(owner(w.Process, w.Life)),
	}
	if w.Run.Fencing {
		opts = append(opts, redlock.WithFencing())
	}
	if w.Run.Guard {
		opts = append(opts, redlock.WithRestartGuard(w.Run.TTL))
	}
	return opts
}

// owner names a process in the values of its keys.
func owner(process, life int) string { return fmt.Sprintf("worker %d life %d", process+1, life+1) }

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// say reports to the parent. A parent that is gone ends this process through its stdin.
func (w *worker) say(what word) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.out.Encode(what)
}

// fatal ends the worker: what it saw cannot be relied on any more.
func (w *worker) fatal(err error) {
	fmt.Fprintf(os.Stderr, "torture: worker %d: %v\n", w.Process+1, err)
	os.Exit(2)
}

// work asks for locks in all ways until it is calm, and then for each of them once, and for some of
// them at once, and to read. A
// candidate campaigns for elections instead, a publisher takes the locks of paths, and
// publishes also without one, and an acquirer takes slots of semaphores.
func (w *worker) work(client int) {
	rng := rand.New(rand.NewPCG(w.Run.Seed, uint64(client)+uint64(w.Life)<<32))
	role := w.Run.Clients[client]
	names := w.Run.wanted(role)
	for !w.calm.Load() {
		t := Try{Client: client, Name: names[rng.IntN(len(names))]}
		switch {
		case role.Role == publisher && rng.IntN(8) > 0:
			w.use(rng, client, t.Name)
		case rng.IntN(6) == 0:
			t.Name, t.Mode = w.rendezvous(names), together
			fallthrough
		default:
			w.attempt(rng, role.Role, &t)
		}
		w.look(rng, client)
		time.Sleep(time.Duration(rng.ExpFloat64() * float64(w.Run.TTL) / 40))
	}
	for _, t := range w.Run.lastOf(client) {
		w.attempt(rng, role.Role, &t)
	}
}

func (w *worker) attempt(rng *rand.Rand, role string, t *Try) {
	switch role {
	case candidate:
		w.campaign(rng, t)
	case publisher:
		w.try(rng, t, w.publishAs)
	default:
		w.try(rng, t, w.increment)
	}
	w.say(word{Try: t})
}

// together is the mode of a TryLock at an instant that the clients of all processes know.
const together = "TryLock, all at once"

// rendezvous waits for such an instant, and returns the lock that is tried then.
func (w *worker) rendezvous(names []string) (name string) {
	each := w.Run.TTL / 4
	next := w.clock.now()/each + 1
	time.Sleep(next*each - w.clock.now())
	return names[int(next)%len(names)]
}
