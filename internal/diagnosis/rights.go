package diagnosis

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node"
)

// user is the name to give to ACL SETUSER.
func (j *judge) user() string { return cmp.Or(j.Rights.User, "<user>") }

// grant is the command that gives the rights for a need, as in SECURITY.md.
func (j *judge) grant(n node.Need) string {
	rights := [...]string{
		node.ToLock:  "~" + j.Prefix + "* +set +get +del +pexpire +pttl +eval +evalsha +ping",
		node.ToWake:  "~{" + j.Prefix + "*}:* &{" + j.Prefix + "*}:wake* +publish +subscribe +unsubscribe",
		node.ToQueue: "~{" + j.Prefix + "*}:* &{" + j.Prefix + "*}:wake* +time +zadd +zrange +zrem +zscore +hget +hset +hdel +hexists +exists",
		node.ToFence: "~{" + j.Prefix + "*}:* +get +set +time",
		node.ToGuard: "~redlock:node ~redlock:quarantine +get +set +pttl +info",
	}
	return "ACL SETUSER " + j.user() + " " + rights[n]
}

func (j *judge) rights() {
	lacks := make(map[node.Need][]string)
	said := make(map[node.Need]string)
	for _, d := range j.Rights.Missing {
		if lacks[d.Need] == nil {
			d.Command = "use " + d.Command
		}
		lacks[d.Need] = append(lacks[d.Need], d.Command)
		said[d.Need] = cmp.Or(said[d.Need], d.Said)
	}
	if t := j.Trial; lacks[node.ToLock] == nil && mayNot(t.Err) {
		lacks[node.ToLock] = []string{t.Verb.String()}
		said[node.ToLock] = t.Err.Error()
	}
	who := "its user"
	if j.Rights.User != "" {
		who = "the user " + j.Rights.User
	}
	report := func(s Severity, n node.Need, endangers string) {
		if lacks[n] != nil {
			j.add(s, "rights", fmt.Sprintf("%s may not %s: %s", who, strings.Join(lacks[n], ", "), said[n]), endangers, j.grant(n))
		}
	}
	report(Error, node.ToLock, j.quorum())
	report(Warning, node.ToWake, "speed: those who wait are not told of releases, and ask again by themselves")
	asked := map[bool]Severity{false: Note, true: Error}
	report(asked[j.Fair], node.ToQueue, "waiting with WithFair, which is refused")
	report(asked[j.Fencing], node.ToFence, "locks with WithFencing, which are refused")
	report(asked[j.guarded()], node.ToGuard, "locks with WithRestartGuard, which are refused")
}
