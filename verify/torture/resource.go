package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	goredisv9 "github.com/redis/go-redis/v9"
)

// A resource is what a lock protects: two counters on a server of their own, which nothing
// happens to. An increment is a read, a pause and a write, so two at a time lose one.
//
// The unfenced counter trusts the lock. The fenced one refuses a token smaller than the
// largest it has seen, and the holder claims before it reads: with the token shown at the
// write only, a write of the one before could come between.
type resource struct{ client *goredisv9.Client }

// openResource has no deadlines: a worker that was stopped would find them passed, and not
// know whether a write took place. It repeats nothing, for the same reason.
func openResource(addr string) resource {
	return resource{goredisv9.NewClient(&goredisv9.Options{
		Addr: addr, ReadTimeout: -1, WriteTimeout: -1, PoolTimeout: 0, MaxRetries: -1,
	})}
}

func (r resource) close() error { return r.client.Close() }

func unfencedKey(name string) string { return "unfenced:" + name }
func fencedKey(name string) string   { return "fenced:" + name }

func (r resource) read(name string) (int64, error) {
	value, err := r.client.Get(context.Background(), unfencedKey(name)).Int64()
	if err == goredisv9.Nil {
		return 0, nil
	}
	return value, err
}

// KEYS: the counter, what was done; ARGV: the new value, the name of this write.
var setScript = goredisv9.NewScript(`
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1])
return 1
`)

func (r resource) write(name, id string, value int64) error {
	return setScript.Run(context.Background(), r.client, []string{unfencedKey(name), doneKey}, value, id).Err()
}

// doneKey is the set of the names of all claims and writes that were carried out. It knows
// also the answers that a killed process never received.
const doneKey = "done"

// took reports whether a claim or a write was carried out.
func (r resource) took(id string) (bool, error) {
	return r.client.SIsMember(context.Background(), doneKey, id).Result()
}

// await returns when the server has done with all that was in its sockets. (It looks at all
// of them one after the other, so by the second answer it has seen each.)
func (r resource) await() error {
	return errors.Join(r.client.Ping(context.Background()).Err(), r.client.Ping(context.Background()).Err())
}

// KEYS: the counter, what was done; ARGV: the token, the name of this claim. Replies the
// value, or nil where a larger token was seen. Tokens are below 2^53, so Lua compares
// them exactly; they are stored as they came.
var claimScript = goredisv9.NewScript(`
if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'token') or '0') then
	return false
end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[1], 'token', ARGV[1])
return redis.call('HGET', KEYS[1], 'value') or '0'
`)

// KEYS: the counter, what was done; ARGV: the token, the name of this write, the new
// value. Replies 1, or nil where a larger token was seen.
var writeScript = goredisv9.NewScript(`
if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'token') or '0') then
	return false
end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'value', ARGV[3])
return 1
`)

// claim shows the token and reads; ok is false if a larger one was seen.
func (r resource) claim(name, id string, token uint64) (value int64, ok bool, err error) {
	reply, err := claimScript.Run(context.Background(), r.client, []string{fencedKey(name), doneKey}, token, id).Text()
	if err == goredisv9.Nil {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	value, err = strconv.ParseInt(reply, 10, 64)
	return value, true, err
}

// writeFenced shows the token and writes; ok is false if a larger one was seen.
func (r resource) writeFenced(name, id string, token uint64, value int64) (ok bool, err error) {
	err = writeScript.Run(context.Background(), r.client, []string{fencedKey(name), doneKey}, token, id, value).Err()
	if err == goredisv9.Nil {
		return false, nil
	}
	return err == nil, err
}

// final reads both counters.
func (r resource) final(name string) (Final, error) {
	unfenced, err := r.read(name)
	if err != nil {
		return Final{}, err
	}
	fenced, err := r.client.HGet(context.Background(), fencedKey(name), "value").Int64()
	if err != nil && err != goredisv9.Nil {
		return Final{}, fmt.Errorf("read the fenced counter: %w", err)
	}
	return Final{name, unfenced, fenced}, nil
}
