package direct

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAnAddressIsAHostAPortOrASocket(t *testing.T) {
	for addr, want := range map[string]string{
		"redis-1:6380":    "redis-1:6380",
		"redis-1":         "redis-1:6379",
		"10.0.0.1":        "10.0.0.1:6379",
		"::1":             "[::1]:6379",
		"[::1]":           "[::1]:6379",
		"[::1]:7000":      "[::1]:7000",
		"/run/redis.sock": "/run/redis.sock",
	} {
		p, err := New(addr)
		if err != nil {
			t.Errorf("%q: %v", addr, err)
			continue
		}
		if p.String() != want || (p.server.network == "unix") != strings.HasPrefix(addr, "/") {
			t.Errorf("%q: it is %s %s", addr, p.server.network, p)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsWrongIsRefusedAndShowsNoPassword(t *testing.T) {
	for addr, want := range map[string]string{
		"":                               "has no host",
		":6379":                          "has no host",
		"redis-1:0":                      "the port of the address must be 1 to 65535",
		"redis-1:65536":                  "the port of the address must be 1 to 65535",
		"default:hush":                   "the port of the address must be 1 to 65535",
		"redis-1:6379?password=hush":     "must be host:port",
		"redis-1:redis":                  "the port of the address must be 1 to 65535",
		"redis://u:hush@redis-1:6379":    "must be host:port",
		"hush@redis-1:6379":              "must be host:port",
		"a:6379,b:6379":                  "must be host:port",
		"redis-1 :6379":                  "must be host:port",
		"relative/redis.sock":            "must be host:port",
		"unix:///run/redis.sock?db=hush": "must be host:port",
	} {
		_, err := New(addr)
		if err == nil || !strings.HasPrefix(err.Error(), "direct: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v, want %q", addr, err, want)
		}
	}
	for want, opt := range map[string]Option{
		"direct: WithDatabase(-1): must not be negative":                                            WithDatabase(-1),
		"direct: WithDialTimeout(0s): must be above 0":                                              WithDialTimeout(0),
		`direct: WithClientName("a b"): must have no blanks, and of ASCII only what can be printed`: WithClientName("a b"),
		`direct: WithClientName("é"): must have no blanks, and of ASCII only what can be printed`:   WithClientName("é"),
	} {
		if _, err := New("redis-1", opt); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestOptionsAreCopiedAndMayBeLeftEmpty(t *testing.T) {
	config := &tls.Config{ServerName: "other", MinVersion: tls.VersionTLS13}
	for _, c := range []struct {
		config *tls.Config
		want   string
	}{{config, "other"}, {nil, "redis-1"}, {new(tls.Config), "redis-1"}} {
		p, err := New("redis-1", WithTLS(c.config), WithDialer(nil), nil, WithName("first"), WithDatabase(3))
		if err != nil {
			t.Fatal(err)
		}
		if p.server.secure == c.config || p.server.secure.ServerName != c.want || p.server.dial == nil || p.String() != "first" || p.server.String() != "redis-1:6379/3" {
			t.Errorf("%+v", p.server)
		}
		_ = p.Close()
	}
	if config.ServerName != "other" {
		t.Error("the user's config was changed")
	}
}

func TestAGreetingHasWhatWasAskedForAndEndsWithAPing(t *testing.T) {
	p, err := New("redis-1", WithPassword("", "secret"), WithDatabase(2), WithClientName("locks"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	greeting, err := p.server.greeting(ctx)
	if err != nil || len(greeting) != 4 || len(greeting[0]) != 2 || greeting[1][1] != "2" || greeting[2][2] != "locks" || greeting[3][0] != "PING" {
		t.Errorf("%v, %v", greeting, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.server.greeting(over); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "credentials came too late") {
		t.Errorf("%v", err)
	}
	p.server.credentials = nil
	p.server.database, p.server.clientName = 0, ""
	if greeting, err := p.server.greeting(ctx); err != nil || len(greeting) != 1 {
		t.Errorf("%v, %v", greeting, err)
	}
}
