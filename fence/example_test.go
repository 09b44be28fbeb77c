package fence_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/quorumlock/quorumlock/fence"
)

// A table with a column for the token rejects a holder that is late:
//
//	CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL, token BIGINT NOT NULL DEFAULT 0)
//
// First the holder writes its token to the row, before it reads. Then it changes the row, if the row
// still has its token. (With MySQL set clientFoundRows=true: the count of rows must include rows that
// did not change.)
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
