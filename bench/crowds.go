package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"
)

const (
	oursFair   = "quorumlock, fair"
	redislocks = "redislock"
	rueidis3   = "rueidislock"
)

// crowdedContenders wait until they are granted the lock.
var crowdedContenders = []contender{
	{lib: ours, open: crowdOurs()},
	{lib: oursFair, open: crowdOurs(redlock.WithFair())},
	{lib: redsyncDefault, open: crowdRedsync},
	{lib: redislocks, open: crowdRedislock},
	{lib: rueidis3, open: crowdRueidislock},
}

func crowdedContender(lib string) (func([]string, int) (session, error), error) {
	for _, c := range crowdedContenders {
		if c.lib == lib {
			return c.open, nil
		}
	}
	return nil, fmt.Errorf("unknown library %q", lib)
}

// crowdSettings says how they are set up.
func crowdSettings() string {
	return fmt.Sprintf(`- %s, %s: go-redis, default options, and WithFair
- %s: go-redis, default options, any number of tries
- %s: go-redis, one server only (it knows no quorum), TTL 8 s, LinearBackoff(50 ms)
- %s: three keys on one server only (it knows no quorum of servers), default options
`, ours, oursFair, redsyncDefault, redislocks, rueidis3)
}

func crowdOurs(opts ...redlock.LockOption) func([]string, int) (session, error) {
	return func(addrs []string, connections int) (session, error) {
		locker, closeLocker, err := newOurs(goRedis, true, addrs, connections)
		return session{
			worker: func(key string) worker { return &patientWorker{locker: locker, key: key, opts: opts} },
			close:  closeLocker,
		}, err
	}
}

// A patientWorker of ours tries for as long as it takes.
type patientWorker struct {
	locker *redlock.Locker
	key    string
	opts   []redlock.LockOption
	held   *redlock.Lock
}

func (w *patientWorker) Lock() (err error) {
	w.held, err = w.locker.Lock(context.Background(), w.key, w.opts...)
	return err
}

func (w *patientWorker) Unlock() error { return w.held.Unlock(context.Background()) }

func crowdRedsync(addrs []string, connections int) (session, error) {
	clients, closeClients := newGoRedis(addrs, connections)
	var pools []redsyncpool.Pool
	for _, c := range clients {
		pools = append(pools, redsyncgoredis.NewPool(c))
	}
	rs := redsync.New(pools...)
	return session{
		worker: func(key string) worker {
			return &redsyncWorker{rs: rs, key: key, opts: []redsync.Option{redsync.WithTries(math.MaxInt32)}}
		},
		close: closeClients,
	}, nil
}

func crowdRedislock(addrs []string, connections int) (session, error) {
	clients, closeClients := newGoRedis(addrs[:1], connections)
	client := redislock.New(clients[0])
	return session{
		worker: func(key string) worker { return &patientRedislockWorker{redislockWorker{client: client, key: key}} },
		close:  closeClients,
	}, nil
}

// A patientRedislockWorker tries for as long as it takes.
type patientRedislockWorker struct{ redislockWorker }

func (w *patientRedislockWorker) Lock() (err error) {
	// Without a deadline it gives up after the TTL.
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	w.held, err = w.client.Obtain(ctx, w.key, 8*time.Second, &redislock.Options{
		RetryStrategy: redislock.LinearBackoff(50 * time.Millisecond),
	})
	return err
}

func crowdRueidislock(addrs []string, _ int) (session, error) {
	locker, err := rueidislock.NewLocker(rueidislock.LockerOption{
		ClientOption: rueidis.ClientOption{InitAddress: addrs[:1]},
		KeyMajority:  2,
	})
	if err != nil {
		return session{}, err
	}
	return session{
		worker: func(key string) worker { return &rueidisWorker{locker: locker, key: key} },
		close:  func() error { locker.Close(); return nil },
	}, nil
}

type rueidisWorker struct {
	locker  rueidislock.Locker
	key     string
	release context.CancelFunc
}

func (w *rueidisWorker) Lock() error {
	_, release, err := w.locker.WithContext(context.Background(), w.key)
	w.release = release
	return err
}

func (w *rueidisWorker) Unlock() error {
	if w.release == nil {
		return errors.New("rueidislock: not held")
	}
	w.release()
	return nil
}
