package redigo

import (
	"errors"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

var (
	errLent    = errors.New("redigo: the redis.Pool has lent a connection for a subscription, and with MaxActive it lends one")
	errStarved = errors.New("redigo: no connection to spare for a subscription, commands found none: raise MaxActive")
)

// starving is how long no connection is lent after a command found none free.
const starving = 10 * time.Second

// loans are the connections that subscriptions borrow from a *redis.Pool with MaxActive, one
// of each pool. Waiting must not use the connections that holders need to renew their locks.
// An entry is deleted when its subscription ends.
var loans = struct {
	mu  sync.Mutex // protects the rest, the fields of each, and Pool.starved
	all map[*redis.Pool]*loan
}{all: make(map[*redis.Pool]*loan)}

// A loan is one borrowed connection. It is nil if the source has no limit.
type loan struct {
	of *redis.Pool
	by *subscription // nil until the subscription has started
}

// borrow returns an error that matches errors.ErrUnsupported if the pool never has a
// connection to spare.
func (p *Pool) borrow() (*loan, error) {
	of, ok := p.source.(*redis.Pool)
	switch {
	case !ok || of.MaxActive <= 0:
		return nil, nil
	case of.MaxActive == 1:
		return nil, errNotSpared
	}
	loans.mu.Lock()
	defer loans.mu.Unlock()
	switch {
	case loans.all[of] != nil:
		return nil, errLent
	case time.Since(p.starved) < starving:
		return nil, errStarved
	}
	l := &loan{of: of}
	loans.all[of] = l
	return l, nil
}

// to records which subscription has the connection.
func (l *loan) to(s *subscription) {
	if l == nil {
		return
	}
	loans.mu.Lock()
	defer loans.mu.Unlock()
	l.by = s
}

func (l *loan) end() {
	if l == nil {
		return
	}
	loans.mu.Lock()
	defer loans.mu.Unlock()
	delete(loans.all, l.of)
}

// starve records that a command found no free connection, and takes back the borrowed one. A
// waiter without notifications only loses time. A lock that cannot be renewed is lost.
func (p *Pool) starve() {
	of, ok := p.source.(*redis.Pool)
	if !ok {
		return
	}
	loans.mu.Lock()
	p.starved = time.Now()
	var by *subscription
	if l := loans.all[of]; l != nil {
		by = l.by
	}
	loans.mu.Unlock()
	if by != nil {
		by.interrupt()
	}
}
