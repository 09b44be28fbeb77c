package main

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
)

// masters are three Redis servers without persistence.
type masters []*redisproc.Server

func startMasters() (m masters, err error) {
	for range 3 {
		s, err := redisproc.Launch(redisproc.Options{})
		if err != nil {
			m.stop()
			return nil, err
		}
		m = append(m, s)
	}
	return m, nil
}

func (m masters) stop() {
	for _, s := range m {
		s.Stop()
	}
}

// locker returns a Locker with a client of its own for each master.
func (m masters) locker() (*redlock.Locker, func() error, error) {
	var pools []pool.Pool
	var closers []func() error
	for _, s := range m {
		p := goredis.NewPipelined(redis.NewClient(&redis.Options{Addr: s.Addr()}))
		pools, closers = append(pools, p), append(closers, p.Close)
	}
	l, err := redlock.New(pools)
	return l, func() error {
		errs := []error{l.Close(context.Background())}
		for _, c := range closers {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}, err
}
