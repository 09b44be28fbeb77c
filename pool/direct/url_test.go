package direct

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"
)

func TestAURLSaysWhereTheMasterIsAndHowToGetThere(t *testing.T) {
	for raw, want := range map[string]string{
		"redis://redis-1":                       "redis-1:6379",
		"redis://":                              "localhost:6379",
		"redis://redis-1:6380/":                 "redis-1:6380",
		"redis://[::1]/4":                       "[::1]:6379/4",
		"redis://redis-1?db=2":                  "redis-1:6379/2",
		"redis://redis-1/5?protocol=3":          "redis-1:6379/5",
		"redis://[fe80::1%25eth0]":              "[fe80::1%eth0]:6379",
		"unix:///run/redis.sock?db=3":           "/run/redis.sock/3",
		"unix://u:p@/run/redis.sock":            "/run/redis.sock",
		"rediss://redis-1?skip_verify=true":     "redis-1:6379",
		"redis://u@redis-1?client_name=locks":   "redis-1:6379",
		"redis://redis-1?dial_timeout=2s&db=":   "",
		"redis://redis-1?read_timeout=anything": "redis-1:6379",
	} {
		p, err := FromURL(raw, WithDialTimeout(time.Minute))
		if want == "" {
			if err == nil {
				t.Errorf("%s: it is %s", raw, p)
			}
			continue
		}
		if err != nil || p.String() != want {
			t.Errorf("%s: it is %v, %v", raw, p, err)
			continue
		}
		secure := strings.HasPrefix(raw, "rediss")
		if (p.server.secure != nil) != secure || secure && (p.server.secure.ServerName != "redis-1" || !p.server.secure.InsecureSkipVerify) {
			t.Errorf("%s: TLS is %+v", raw, p.server.secure)
		}
		if p.server.dialTimeout != time.Minute {
			t.Errorf("%s: the dial timeout is %v", raw, p.server.dialTimeout)
		}
	}
	p, err := FromURL("redis://u@redis-1/0?client_name=locks&dial_timeout=2s", WithDialTimeout(time.Minute), WithClientName("other"))
	if err != nil || p.server.dialTimeout != 2*time.Second || p.server.clientName != "locks" {
		t.Errorf("%+v, %v", p, err)
	}
	strict, err := FromURL("rediss://redis-1?skip_verify=false", WithTLS(&tls.Config{InsecureSkipVerify: true}))
	if err != nil || strict.server.secure.InsecureSkipVerify {
		t.Errorf("%+v, %v", strict, err)
	}
	if user, password, err := p.server.credentials(t.Context()); user != "u" || password != "" || err != nil {
		t.Errorf("%q, %q, %v", user, password, err)
	}
}

func TestWhatIsWrongWithAURLIsSaid(t *testing.T) {
	for raw, want := range map[string]string{
		"redis-1:6379":                       `direct: "redis-1:6379" is not a URL: give it as redis://redis-1:6379`,
		"redis://redis-1,redis://redis-2":    "direct: in a list each node is a whole URL: redis://a,redis://b",
		"redis://redis-1:0":                  "direct: redis-1: the port must be 1 to 65535",
		"redis://redis-1/x":                  "direct: redis-1: the database must be a number from 0",
		"redis://redis-1/1/2":                "direct: redis-1: the database must be a number from 0",
		"redis://redis-1/-1":                 "direct: redis-1: the database must be a number from 0",
		"redis://redis-1?pool_size=3":        "direct: redis-1: an option after '?' is not one of db, client_name, dial_timeout, skip_verify",
		"redis://redis-1?skip_verify=true":   "direct: redis-1: skip_verify is for rediss://",
		"rediss://redis-1?skip_verify=maybe": "direct: redis-1: skip_verify must be true or false",
		"redis://redis-1?dial_timeout=soon":  "direct: redis-1: dial_timeout must be seconds, or a duration with its unit, such as 500ms",
		"redis://redis-1/5?db=2":             "direct: redis-1: the database is given twice",
		"redis://redis-1?db=2&db=2":          "direct: redis-1: the database is given twice",
		"redis://redis-1?dial_timeout=0s":    "direct: WithDialTimeout(0s): must be above 0",
		"unix://run/redis.sock":              "direct: run: the path of a unix socket begins with /: unix:///path",
	} {
		if _, err := FromURL(raw); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
}
