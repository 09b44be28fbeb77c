package quorumlock_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/fence"
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

// A holder that was delayed until somebody else had the lock is refused by what it
// changes: data in Redis.
func Example_fencing() {
	addrs, stop := masters()
	defer stop()
	ctx := context.Background()
	locker, disconnect := connect(addrs)
	defer disconnect()
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

// The same with a table that has a column for the token:
//
//	CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL, token BIGINT NOT NULL DEFAULT 0)
//
// First the holder claims the row, before it reads. Then it changes the row as long as
// nobody else has claimed it. (MySQL has to be told to count the rows that were found, not
// those that differ afterwards: clientFoundRows=true.)
func Example_fencingSQL() {
	withdraw := func(ctx context.Context, db *sql.DB, id, amount int64, token uint64) error {
		claimed, err := db.ExecContext(ctx, `UPDATE accounts SET token = $1 WHERE id = $2 AND token <= $1 AND $1 > 0`, int64(token), id)
		if err != nil {
			return err
		}
		if n, err := claimed.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("account %d: %w", id, errors.Join(fence.ErrStale, err))
		}
		var balance int64
		if err := db.QueryRowContext(ctx, `SELECT balance FROM accounts WHERE id = $1`, id).Scan(&balance); err != nil {
			return err
		}
		changed, err := db.ExecContext(ctx, `UPDATE accounts SET balance = $1 WHERE id = $2 AND token = $3`, balance-amount, id, int64(token))
		if err != nil {
			return err
		}
		if n, err := changed.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("account %d: %w", id, errors.Join(fence.ErrStale, err))
		}
		return nil
	}
	_ = withdraw
}
