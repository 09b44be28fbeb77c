package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node"
)

// user is the name to give to ACL SETUSER.
func (j *judge) user() string { return cmp.Or(j.Rights.User, "<user>") }

// grant is the command that gives the rights for a need, as in SECURITY.md. What of them
// is missing is in what the server said: it looks at the command first, then at keys and
// channels, and takes no pattern for a user who may use all of them.
func (j *judge) grant(n node.Need, said []string) string {
	side, wake := "~{"+j.Prefix+"*}:*", "&{"+j.Prefix+"*}:wake*"
	rights := [...]struct{ keys, channels, commands string }{
		node.ToLock:  {"~" + j.Prefix + "*", "", "+set +get +del +pexpire +pttl +eval +evalsha +ping"},
		node.ToWake:  {side, wake, "+publish +subscribe +unsubscribe"},
		node.ToQueue: {side, wake, "+time +zrange +zadd +zrem +zscore +hget +hset +hdel +hexists +exists"},
		node.ToFence: {side, "", "+get +set +time"},
		node.ToGuard: {"~redlock:node ~redlock:quarantine", "", "+get +set +pttl +info"},
		node.ToBound: {"~" + j.Prefix + "*", "", "+getrange"},
	}[n]
	about := func(what string) bool {
		return slices.ContainsFunc(said, func(text string) bool { return strings.Contains(text, what) })
	}
	keys, channels, commands := about(" key"), about(" channel"), about(" command")
	all := !keys && !channels && !commands
	command := "ACL SETUSER " + j.user()
	if keys || all {
		command += " " + rights.keys
	}
	if rights.channels != "" && (channels || all) {
		command += " " + rights.channels
	}
	if commands || all {
		command += " " + rights.commands
	}
	return command
}

func (j *judge) rights() {
	lacks := make(map[node.Need][]string)
	said := make(map[node.Need][]string)
	for _, d := range j.Rights.Missing {
		if lacks[d.Need] == nil {
			d.Command = "use " + d.Command
		}
		lacks[d.Need] = append(lacks[d.Need], d.Command)
		said[d.Need] = append(said[d.Need], d.Said)
	}
	if t := j.Trial; lacks[node.ToLock] == nil && mayNot(t.Err) {
		lacks[node.ToLock] = []string{t.Verb.String()}
		said[node.ToLock] = []string{t.Err.Error()}
	}
	who := "its user"
	if j.Rights.User != "" {
		who = "the user " + j.Rights.User
	}
	report := func(s Severity, n node.Need, endangers string) {
		if lacks[n] != nil {
			j.add(s, "rights", fmt.Sprintf("%s may not %s: %s", who, strings.Join(lacks[n], ", "), said[n][0]), endangers, j.grant(n, said[n]))
		}
	}
	report(Error, node.ToLock, j.quorum())
	report(Warning, node.ToWake, "speed: those who wait are not told of releases, and ask again by themselves")
	report(Note, node.ToBound, "speed, where a large text has the name of a lock: all of it is read")
	asked := map[bool]Severity{false: Note, true: Error}
	report(asked[j.Fair], node.ToQueue, "waiting with WithFair, which is refused")
	report(asked[j.Fencing], node.ToFence, "locks with WithFencing, which are refused")
	report(asked[j.guarded()], node.ToGuard, "locks with WithRestartGuard, which are refused")
}
