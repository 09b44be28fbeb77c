package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// BenchmarkCycle locks and unlocks on real servers. Its names are made for
// benchstat:
//
//	go test -run '^$' -bench Cycle -count 10 . > new.txt
//	benchstat -col /lib new.txt
//
// It is for comparing two versions of this library. For a ratio to a peer use
// the runner: it goes pair by pair, which a drifting machine needs.
func BenchmarkCycle(b *testing.B) {
	for _, client := range []string{goRedis, redigoClient} {
		for _, n := range []int{1, 3, 5} {
			b.Run(fmt.Sprintf("client=%s/n=%d", client, n), func(b *testing.B) {
				benchmarkLibs(b, client, n)
			})
		}
	}
}

// BenchmarkModes is what a lock costs that does more than exclude:
//
//	go test -run '^$' -bench Modes -count 10 . > modes.txt
//	benchstat -col /mode modes.txt
func BenchmarkModes(b *testing.B) {
	modes := []struct {
		name string
		opts []redlock.Option
	}{
		{"plain", nil},
		{"fencing", []redlock.Option{redlock.WithFencing()}},
		{"guard", []redlock.Option{redlock.WithRestartGuard(8 * time.Second)}},
		{"both", []redlock.Option{redlock.WithFencing(), redlock.WithRestartGuard(8 * time.Second)}},
	}
	nodes := startTestServers(b, 3)
	for _, client := range []string{goRedis, redigoClient} {
		for _, workers := range []int{1, 512} {
			for _, mode := range modes {
				b.Run(fmt.Sprintf("client=%s/workers=%d/mode=%s", client, workers, mode.name), func(b *testing.B) {
					benchmarkCycle(b, contender{open: oursOn(client, true, mode.opts...)}, nodes, workers)
				})
			}
		}
	}
}

func benchmarkLibs(b *testing.B, client string, n int) {
	nodes := startTestServers(b, n)
	all, err := contenders(client)
	if err != nil {
		b.Fatal(err)
	}
	for _, workers := range []int{1, 512} {
		for _, c := range all {
			b.Run(fmt.Sprintf("workers=%d/lib=%s", workers, c.lib), func(b *testing.B) {
				benchmarkCycle(b, c, nodes, workers)
			})
		}
	}
}

func benchmarkCycle(b *testing.B, c contender, nodes servers, workers int) {
	s, err := c.open(nodes.addrs(), poolSize(workers))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			b.Error(err)
		}
	}()
	measure(s, workers, "warm", times(10*workers)) // connections and scripts

	b.ReportAllocs()
	b.ResetTimer()
	m := measure(s, workers, "bench", times(b.N))
	b.StopTimer()
	if m.Failed > 0 {
		b.Fatalf("%d of %d cycles failed, the first with: %v", m.Failed, b.N, m.Error)
	}
	b.ReportMetric(float64(m.CPU)/float64(time.Microsecond), "cpu-us/op")
	b.ReportMetric(float64(m.Lock.P50)/float64(time.Microsecond), "lock-p50-us")
	b.ReportMetric(float64(m.Unlock.P50)/float64(time.Microsecond), "unlock-p50-us")
}
