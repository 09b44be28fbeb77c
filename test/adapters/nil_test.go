package adapters_test

import (
	"fmt"
	"testing"

	goredisv9 "github.com/redis/go-redis/v9"

	redigoredis "github.com/gomodule/redigo/redis"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
)

// What is missing is said where it is, not by a nil pointer at the first lock.
func TestAdaptersWithoutAClientSaySoWhenTheyAreMade(t *testing.T) {
	for want, adapt := range map[string]func() pool.Pool{
		"goredis: New(nil): no client":          func() pool.Pool { return goredis.New((*goredisv9.Client)(nil)) },
		"goredis: NewPipelined(nil): no client": func() pool.Pool { return goredis.NewPipelined(nil) },
		"redigo: New(nil): no source":           func() pool.Pool { return redigo.New((*redigoredis.Pool)(nil)) },
		"redigo: NewPipelined(nil): no dial":    func() pool.Pool { return redigo.NewPipelined(nil) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}()
			adapt()
		}()
	}
	func() {
		defer func() {
			if got := fmt.Sprint(recover()); got != "redigo: New(nil): no source" {
				t.Errorf("%q", got)
			}
		}()
		redigo.New(nil)
	}()
}
