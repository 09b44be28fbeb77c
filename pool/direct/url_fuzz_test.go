package direct

import (
	"net/url"
	"strings"
	"testing"
)

// marker is a part of every password, and of nothing else.
const marker = "s3cR3t"

// A password never appears, whatever stands around it: not in an error, and not in the
// name of the node. One that is percent-encoded arrives as it was meant.
func FuzzFromURL(f *testing.F) {
	for _, scheme := range []string{"redis://", "rediss://", "unix://", "http://", "REDIS://", "://", ""} {
		for _, rest := range []string{"127.0.0.1", "r1:port", "r1:65536", "r1:6379/0", "r1/0?nonsense=1", "r1?db=x", "[::1]:1", "/run/redis.sock?db=2", "r1,redis://r2", "r1#x", ""} {
			f.Add(scheme, "user:", "", rest)
		}
		for _, before := range []string{"pa/", "pa?", "pa#", "%zz", "@", "@h/", "@h:1/0?db=", ",", " ", "'", `"`, "\n", "[", "12/"} {
			f.Add(scheme, ":"+before, "", "r1")
			f.Add(scheme, ":"+before, ":@/?#", "r1")
		}
	}
	f.Fuzz(func(t *testing.T, scheme, before, after, rest string) {
		if strings.Contains(scheme+before+after+rest, marker) {
			t.Skip("twice")
		}
		p, err := FromURL(scheme + before + marker + after + "@" + rest)
		if err != nil {
			if strings.Contains(err.Error(), marker) {
				t.Fatalf("%q: %v", scheme+before+marker+after+"@"+rest, err)
			}
		} else if name := p.String(); strings.Contains(name, marker) {
			t.Fatalf("%q: the node is called %q", scheme+before+marker+after+"@"+rest, name)
		}

		password := before + marker + after
		proper := url.URL{Scheme: "redis", User: url.UserPassword(before, password), Host: "r1", Path: "/3"}
		p, err = FromURL(proper.String())
		if err != nil {
			t.Fatalf("%q: %v", proper.String(), err)
		}
		user, pass, err := p.server.credentials(t.Context())
		if err != nil || p.String() != "r1:6379/3" || p.server.database != 3 || user != before || pass != password {
			t.Fatalf("%q becomes %s, %q, %q, %v", proper.String(), p, user, pass, err)
		}
	})
}
