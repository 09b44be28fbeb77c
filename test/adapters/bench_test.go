package adapters_test

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	goredisv9 "github.com/redis/go-redis/v9"
)

// A command through each adapter, and the same through its client alone. The
// server is in this process, so only differences between the two say something.

var acquire = []any{"SET", "key", "rl1:0123456789abcdef0123456789abcdef:host:1", "NX", "PX", int64(8000)}

func BenchmarkDoGoRedis(b *testing.B) {
	client := goredisv9.NewClient(&goredisv9.Options{
		Addr: miniredis.RunT(b).Addr(),
		// Beyond the deadline below, so that the road with a deadline is measured.
		ReadTimeout: 2 * time.Hour, WriteTimeout: 2 * time.Hour,
	})
	defer client.Close()
	p := goredis.New(client)
	ctx, cancel := context.WithTimeout(b.Context(), 59*time.Minute)
	defer cancel()
	b.Run("adapter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Do(ctx, acquire...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := client.Do(b.Context(), acquire...).Err(); err != nil && err != goredisv9.Nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDoRedigo(b *testing.B) {
	addr := miniredis.RunT(b).Addr()
	connections := &redis.Pool{
		DialContext: func(ctx context.Context) (redis.Conn, error) { return redis.DialContext(ctx, "tcp", addr) },
		MaxIdle:     1,
	}
	defer connections.Close()
	p := redigo.New(connections)
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	b.Run("adapter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Do(ctx, acquire...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("client with DoContext", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			conn, err := connections.GetContext(ctx)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := redis.DoContext(conn, ctx, "SET", acquire[1:]...); err != nil {
				b.Fatal(err)
			}
			conn.Close()
		}
	})
	b.Run("client without a deadline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			conn := connections.Get()
			if _, err := conn.Do("SET", acquire[1:]...); err != nil {
				b.Fatal(err)
			}
			conn.Close()
		}
	})
}
