package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// A cluster is three members of etcd in this process, on loopback. They do not wait for the disk:
// the masters that they are compared with do not either.
type cluster struct {
	members []*embed.Etcd
	dir     string
	urls    []string
}

func startEtcd() (c *cluster, err error) {
	c = new(cluster)
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if c.dir, err = os.MkdirTemp("", "etcd-*"); err != nil {
		return c, err
	}
	const members = 3
	var clients, peers [members]url.URL
	var all []string
	for i := range members {
		for _, to := range []*url.URL{&clients[i], &peers[i]} {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return c, err
			}
			*to = url.URL{Scheme: "http", Host: l.Addr().String()}
			l.Close()
		}
		all = append(all, fmt.Sprintf("m%d=%s", i, peers[i].String()))
		c.urls = append(c.urls, clients[i].String())
	}
	for i := range members {
		cfg := embed.NewConfig()
		cfg.Name, cfg.Dir = fmt.Sprint("m", i), fmt.Sprint(c.dir, "/", i)
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{clients[i]}, []url.URL{clients[i]}
		cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peers[i]}, []url.URL{peers[i]}
		cfg.InitialCluster = strings.Join(all, ",")
		cfg.UnsafeNoFsync = true
		cfg.LogLevel, cfg.LogOutputs = "fatal", []string{"stderr"} // its servers complain when they are stopped
		e, err := embed.StartEtcd(cfg)
		if err != nil {
			return c, err
		}
		c.members = append(c.members, e)
	}
	for _, e := range c.members {
		select {
		case <-e.Server.ReadyNotify():
		case <-time.After(time.Minute):
			return c, fmt.Errorf("etcd is not ready after a minute")
		}
	}
	return c, nil
}

func (c *cluster) stop() {
	for _, e := range c.members {
		e.Close()
	}
	if c.dir != "" {
		os.RemoveAll(c.dir)
	}
}

// client returns a client of its own connection to a member.
func (c *cluster) client(ctx context.Context) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: c.urls, DialTimeout: 5 * time.Second, Context: ctx})
}
