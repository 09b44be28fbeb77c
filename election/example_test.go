package election_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
)

// connect makes the Locker of one process on masters in memory, so the examples run. A service
// uses an adapter instead, see the examples of pool/goredis and pool/redigo.
func connect(masters []*fakenode.Node, owner string) (*redlock.Locker, func()) {
	var pools []pool.Pool
	for _, master := range masters {
		pools = append(pools, &fakenode.Client{Node: master})
	}
	locker, err := redlock.New(pools, redlock.WithOwner(owner))
	if err != nil {
		panic(err)
	}
	return locker, func() { _ = locker.Close(context.Background()) }
}

// A leader proclaims how far it is, and the next one goes on from there.
func Example() {
	masters, _ := fakenode.Pools(3)
	ctx := context.Background()

	for _, name := range []string{"worker-1", "worker-2"} {
		locker, disconnect := connect(masters, name)
		defer disconnect()
		scheduler, err := election.New(locker, "scheduler")
		if err != nil {
			panic(err)
		}
		err = scheduler.Run(ctx, "0 jobs done", func(ctx context.Context, leads *election.Leadership) error {
			before, _ := leads.Previous()
			fmt.Printf("%s leads; before: %q\n", name, before.Value)
			return leads.Proclaim(ctx, "12 jobs done")
		})
		if err != nil {
			panic(err)
		}
	}
	// Output:
	// worker-1 leads; before: ""
	// worker-2 leads; before: "12 jobs done"
}

// A replica is one instance of a service.
type replica struct {
	leads atomic.Pointer[election.Leadership]
}

// campaign leads again and again, until ctx ends.
func (r *replica) campaign(ctx context.Context, e *election.Election, address string, work func(context.Context) error) error {
	for ctx.Err() == nil {
		err := e.Run(ctx, address, func(ctx context.Context, s *election.Leadership) error {
			r.leads.Store(s)
			return work(ctx) // returns when ctx ends
		})
		switch {
		case ctx.Err() != nil: // this program ends
		case errors.Is(err, redlock.ErrClosed):
			return err
		case err != nil: // a loss, an error of work, too few masters
			fmt.Println("no longer leading:", err)
		}
		select { // lets another instance lead, also after an error
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}

// ServeHTTP is for a load balancer that sends work to the leader only. It asks no master.
func (r *replica) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if s := r.leads.Load(); s == nil || !s.IsLeader() {
		http.Error(w, "standby", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, "leader")
}

// A leader loop with a health endpoint.
func ExampleElection_Run_health() {
	masters, _ := fakenode.Pools(3)
	ctx, shutdown := context.WithCancel(context.Background())
	locker, disconnect := connect(masters, "10.0.0.7")
	defer disconnect()
	e, err := election.New(locker, "ingest")
	if err != nil {
		panic(err)
	}

	r := new(replica)
	health := func() string {
		answer := httptest.NewRecorder()
		r.ServeHTTP(answer, httptest.NewRequest("GET", "/health", nil))
		return answer.Body.String()
	}
	fmt.Print("before: ", health())
	working := make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- r.campaign(ctx, e, "10.0.0.7:8080", func(ctx context.Context) error {
			close(working)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-working
	fmt.Println("while it works:", health())
	shutdown()
	fmt.Println("error:", <-ended)
	fmt.Print("after: ", health())
	// Output:
	// before: standby
	// while it works: leader
	// error: <nil>
	// after: standby
}

// Observers are told of each leader and value, newest only.
func ExampleElection_Observe() {
	masters, _ := fakenode.Pools(3)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	locker, disconnect := connect(masters, "10.0.0.7")
	defer disconnect()
	e, err := election.New(locker, "ingest")
	if err != nil {
		panic(err)
	}

	changes, err := e.Observe(ctx)
	if err != nil {
		panic(err)
	}
	show := func(c election.Change) {
		switch c.Kind {
		case election.Leads:
			fmt.Printf("%s leads: %s\n", c.Leader.Holder, c.Leader.Value)
		case election.None:
			fmt.Println("nobody leads")
		case election.Unknown:
			fmt.Println("unknown:", c.Err)
		}
	}
	show(<-changes)
	leads, err := e.Campaign(ctx, "starting")
	if err != nil {
		panic(err)
	}
	show(<-changes)
	if err := leads.Proclaim(ctx, "ready on 10.0.0.7:8080"); err != nil {
		panic(err)
	}
	show(<-changes)
	if err := leads.Resign(ctx); err != nil {
		panic(err)
	}
	show(<-changes)
	// Output:
	// nobody leads
	// 10.0.0.7 leads: starting
	// 10.0.0.7 leads: ready on 10.0.0.7:8080
	// nobody leads
}
