package quorum_test

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// What a holder with a fencing token does to a Redis hash. It runs on the server of the
// data, which need not have to do with those of the lock. "seen" is the largest token
// that was there; a smaller one changes nothing, and gets an error. So does 0, the
// token of a lock without fencing. (The same holder can withdraw twice, by mistake or
// because a reply was lost: against that a token does not help.)
var withdraw = redis.NewScript(`
	local seen, token = redis.call('HGET', KEYS[1], 'seen') or '1', ARGV[1]
	if tonumber(token) < tonumber(seen) then
		return redis.error_reply('STALE token ' .. token .. ', and ' .. seen .. ' was here')
	end
	redis.call('HSET', KEYS[1], 'seen', token)
	return redis.call('HINCRBY', KEYS[1], 'balance', -ARGV[2])
`)

// A holder that was delayed until another one had the lock is refused by what it
// changes: data in Redis.
func Example_fencing() {
	ctx := context.Background()
	cluster, err := redlocktest.Start(3)
	if err != nil {
		panic(err)
	}
	defer cluster.Close()
	var pools []pool.Pool
	for _, addr := range cluster.Addrs() {
		client := redis.NewClient(&redis.Options{Addr: addr})
		defer client.Close()
		pools = append(pools, goredis.New(client))
	}
	locker, err := redlock.New(pools)
	if err != nil {
		panic(err)
	}
	defer locker.Close(ctx)
	data, err := redlocktest.Start(1) // a server that has nothing to do with the lock
	if err != nil {
		panic(err)
	}
	defer data.Close()
	client := redis.NewClient(&redis.Options{Addr: data.Addrs()[0]})
	defer client.Close()
	client.HSet(ctx, "account 7", "balance", 100)

	late, err := locker.Lock(ctx, "account 7", redlock.WithFencing())
	if err != nil {
		panic(err)
	}
	_ = late.Unlock(ctx) // or it expired, and its holder does not know yet

	lock, err := locker.Lock(ctx, "account 7", redlock.WithFencing())
	if err != nil {
		panic(err)
	}
	defer lock.Unlock(ctx)
	balance, err := withdraw.Run(ctx, client, []string{"account 7"}, lock.Token(), 10).Int()
	fmt.Println(balance, err)
	_, err = withdraw.Run(ctx, client, []string{"account 7"}, late.Token(), 10).Int()
	fmt.Println("too late:", redis.HasErrorPrefix(err, "STALE"))
	// Output:
	// 90 <nil>
	// too late: true
}
