// Listing measures what Locker.List costs others: the latency of another client on the
// same servers, while a listing is under way and in the pauses between, in turn, and the longest command that
// a server carried out.
//
//	go -C bench run ./listing
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
)

type options struct {
	nodes, locks, data, rounds int
	length                     time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.nodes, "nodes", 5, "servers")
	flag.IntVar(&o.locks, "locks", 10_000, "locks with the prefix, on every server")
	flag.IntVar(&o.data, "data", 10_000, "data keys besides, on every server")
	flag.IntVar(&o.rounds, "rounds", 20, "listings, and as many pauses")
	flag.DurationVar(&o.length, "time", 400*time.Millisecond, "length of a pause")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "listing:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	var servers []*redisproc.Server
	var clients []*redis.Client // of the other client
	var pools []pool.Pool
	for range o.nodes {
		s, err := redisproc.Launch(redisproc.Options{Timeout: 20 * time.Second, Args: []string{"--slowlog-log-slower-than", "500", "--slowlog-max-len", "100000"}})
		if err != nil {
			return err
		}
		defer s.Stop()
		servers = append(servers, s)
		if err := fill(s, o); err != nil {
			return err
		}
		other, own := redis.NewClient(&redis.Options{Addr: s.Addr()}), redis.NewClient(&redis.Options{Addr: s.Addr()})
		defer other.Close()
		defer own.Close()
		clients, pools = append(clients, other), append(pools, goredis.New(own))
	}
	locker, err := redlock.New(pools)
	if err != nil {
		return err
	}
	defer locker.Close(context.Background())

	var with, without, lists []time.Duration
	var spent time.Duration // of processors, by the servers while they were listed
	for range o.rounds {
		begun := time.Now()
		without = append(without, measure(clients, func() bool { return time.Since(begun) < o.length })...)
		before, err := processorTime(servers)
		if err != nil {
			return err
		}
		var listing atomic.Bool
		listing.Store(true)
		var listed error
		var list sync.WaitGroup
		list.Go(func() { // ends with the listing
			defer listing.Store(false)
			begun := time.Now()
			found, err := locker.List(context.Background(), "job:")
			lists = append(lists, time.Since(begun))
			if listed = err; err == nil && len(found.Locks) != o.locks {
				listed = fmt.Errorf("%d locks were listed, of %d", len(found.Locks), o.locks)
			}
		})
		with = append(with, measure(clients, listing.Load)...)
		list.Wait()
		if listed != nil {
			return listed
		}
		after, err := processorTime(servers)
		if err != nil {
			return err
		}
		spent += after - before
	}
	longest, err := slowest(servers)
	if err != nil {
		return err
	}
	fmt.Printf("%d servers, each with %d locks of the prefix and %d data keys; %d listings, pauses of %v\n\n", o.nodes, o.locks, o.data, o.rounds, o.length)
	fmt.Println("| | n | p50 | p99 | p99.9 | max |")
	fmt.Println("|---|---|---|---|---|---|")
	row("another client's GET, nobody lists", without)
	row("another client's GET, during a listing", with)
	row("one List of all", lists)
	fmt.Printf("\nFor one List and the GETs beside it a server used %v of a processor.\n", (spent / time.Duration(o.rounds*o.nodes)).Round(time.Millisecond))
	fmt.Printf("The longest SCAN or script on a server took %v, with the time that it had to wait for a processor.\n", longest)
	return nil
}

// fill sets locks, and data that a listing has to walk over.
func fill(s *redisproc.Server, o options) error {
	for prefix, n := range map[string]int{"job:": o.locks, "data:": o.data} {
		script := "for i = 1, ARGV[2] do redis.call('SET', ARGV[1] .. i, 'rl1:0123456789abcdef0123456789abcdef:bench:4711', 'PX', 3600000) end"
		if _, err := s.Do("EVAL", script, "0", prefix, strconv.Itoa(n)); err != nil {
			return err
		}
	}
	_, err := s.Do("SLOWLOG", "RESET")
	return err
}

// measure asks one server after the other for something, with pauses.
func measure(clients []*redis.Client, going func() bool) (took []time.Duration) {
	for i := 0; going(); i++ {
		asked := time.Now()
		_ = clients[i%len(clients)].Get(context.Background(), "data:1").Err()
		took = append(took, time.Since(asked))
		time.Sleep(200 * time.Microsecond)
	}
	return took
}

// processorTime is what the servers have used of processors.
func processorTime(servers []*redisproc.Server) (used time.Duration, err error) {
	for _, s := range servers {
		reply, err := s.Do("INFO", "cpu")
		if err != nil {
			return 0, err
		}
		for _, field := range []string{"used_cpu_sys:", "used_cpu_user:"} {
			_, text, _ := strings.Cut(fmt.Sprint(reply), field)
			var seconds float64
			if _, err := fmt.Sscan(text, &seconds); err != nil {
				return 0, fmt.Errorf("INFO of %s has no %s %w", s.Addr(), field, err)
			}
			used += time.Duration(seconds * float64(time.Second))
		}
	}
	return used, nil
}

// slowest is the longest time that a server took for a command of a listing.
func slowest(servers []*redisproc.Server) (longest time.Duration, err error) {
	for _, s := range servers {
		reply, err := s.Do("SLOWLOG", "GET", "100000")
		if err != nil {
			return 0, err
		}
		for _, entry := range reply.([]any) {
			command := entry.([]any)[3].([]any)[0]
			if micros, ok := entry.([]any)[2].(int64); ok && (command == "SCAN" || command == "EVAL") {
				longest = max(longest, time.Duration(micros)*time.Microsecond)
			}
		}
	}
	return longest, nil
}

func row(what string, took []time.Duration) {
	if len(took) == 0 {
		fmt.Printf("| %s | 0 | | | | |\n", what)
		return
	}
	slices.Sort(took)
	at := func(q float64) time.Duration {
		return took[min(int(q*float64(len(took))), len(took)-1)].Round(time.Microsecond)
	}
	fmt.Printf("| %s | %d | %v | %v | %v | %v |\n", what, len(took), at(0.5), at(0.99), at(0.999), at(1))
}
