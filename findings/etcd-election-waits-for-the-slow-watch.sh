#!/usr/bin/env bash
# Version: etcd 3.7.3 (embedded, three members, no fsync) with its client's concurrency.Election.
# Guess: when a leader resigns, the candidate that waits is elected a few milliseconds later,
#   however long it has been waiting.
# Seen: so it is if the candidate has waited for 300 ms. If it began to wait 5 ms before, it takes
#   about as long as is left of a tenth of a second. Campaign watches from the revision that it
#   has read. By the time that the watch arrives the store is one revision further, or as far:
#   then the watch counts as behind, and watches that are behind are only brought up to date
#   every 100 ms.
# Output seen:
#   elected after a wait of 5ms: median 72.1ms of 30
#   elected after a wait of 300ms: median 2.3ms of 30
# It fails if the short wait costs less than five times the long one.
set -euo pipefail
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir" && rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'END'
module finding

go 1.26

require (
	go.etcd.io/etcd/client/v3 v3.7.3
	go.etcd.io/etcd/server/v3 v3.7.3
)
END
cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/embed"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func main() {
	var clients, peers [3]url.URL
	var all, endpoints []string
	for i := range clients {
		for _, to := range []*url.URL{&clients[i], &peers[i]} {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(err)
			*to = url.URL{Scheme: "http", Host: l.Addr().String()}
			l.Close()
		}
		all = append(all, fmt.Sprintf("m%d=%s", i, peers[i].String()))
		endpoints = append(endpoints, clients[i].String())
	}
	var members []*embed.Etcd
	for i := range clients {
		cfg := embed.NewConfig()
		cfg.Name, cfg.Dir = fmt.Sprint("m", i), fmt.Sprint("data", i)
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{clients[i]}, []url.URL{clients[i]}
		cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peers[i]}, []url.URL{peers[i]}
		cfg.InitialCluster, cfg.UnsafeNoFsync, cfg.LogLevel = strings.Join(all, ","), true, "fatal"
		e, err := embed.StartEtcd(cfg)
		must(err)
		members = append(members, e)
	}
	for _, e := range members {
		<-e.Server.ReadyNotify()
	}
	ctx := context.Background()
	var elections [2]*concurrency.Election
	for i := range elections {
		c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second})
		must(err)
		s, err := concurrency.NewSession(c)
		must(err)
		elections[i] = concurrency.NewElection(s, "/leader")
	}
	leads := 0
	must(elections[0].Campaign(ctx, "value"))
	median := func(wait time.Duration) time.Duration {
		var took []time.Duration
		for range 30 {
			next := 1 - leads
			elected := make(chan time.Time)
			go func() {
				must(elections[next].Campaign(ctx, "value"))
				elected <- time.Now()
			}()
			time.Sleep(wait)
			begun := time.Now()
			must(elections[leads].Resign(ctx))
			took = append(took, (<-elected).Sub(begun))
			leads = next
		}
		slices.Sort(took)
		fmt.Printf("elected after a wait of %v: median %v of %d\n", wait, took[15].Round(100*time.Microsecond), len(took))
		return took[15]
	}
	short, long := median(5*time.Millisecond), median(300*time.Millisecond)
	if short < 5*long {
		os.Exit(1)
	}
	os.Exit(0) // without waiting for the members to end
}
END
GOFLAGS=-mod=mod timeout 300 go mod tidy 2>/dev/null
GOFLAGS=-mod=mod go build -o main . 
timeout 120 ./main
