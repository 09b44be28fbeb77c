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

// A lack is the missing rights of a user for one purpose.
type lack struct {
	what  []string // descriptions
	names []string // of the commands that were denied
	said  []string // error texts of the server
}

// grant is the command that gives the missing rights and no more. The server's error names them: it
// checks the command first, then keys and channels. It rejects a pattern for a user that may use all
// of them.
func (j *judge) grant(n node.Purpose, l lack) string {
	prefix := cmp.Or(j.Prefix, "redlock-check:")
	acl := n.ACL(prefix)
	about := func(text, what string) bool { return strings.Contains(text, what) }
	keys := slices.ContainsFunc(l.said, func(text string) bool { return about(text, " key") })
	channels := slices.ContainsFunc(l.said, func(text string) bool { return about(text, " channel") })
	commands := slices.ContainsFunc(l.said, func(text string) bool { return about(text, " command") })
	all := !keys && !channels && !commands
	parts := []string{"ACL SETUSER", j.user()}
	if keys || all {
		parts = append(parts, acl.Keys)
	}
	if (channels || all) && acl.Channels != "" && !(j.Server.Major == 6 && j.Server.Minor < 2) { // which has no patterns of channels
		parts = append(parts, acl.Channels)
	}
	switch denied := l.deniedOf(acl.Commands); {
	case commands && denied != "":
		parts = append(parts, denied)
	case commands || all:
		parts = append(parts, acl.Commands)
	}
	command := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
	if j.Prefix == "" && (keys || channels || all) && n != node.ToGuard && n != node.ToPing {
		command += "; that is for this check: for locks with a prefix (WithPrefix, --prefix) give the prefix instead of redlock-check:"
	}
	return command
}

// deniedOf returns the denied commands, "" if they are not known.
func (l lack) deniedOf(commands string) string {
	var denied []string
	for command := range strings.FieldsSeq(commands) {
		for i, name := range l.names {
			if "+"+strings.ToLower(name) == command && strings.Contains(l.said[i], " command") {
				denied = append(denied, command)
				break
			}
		}
	}
	return strings.Join(denied, " ")
}

func (j *judge) rights() {
	lacks := make(map[node.Purpose]*lack)
	of := func(n node.Purpose) *lack {
		if lacks[n] == nil {
			lacks[n] = new(lack)
		}
		return lacks[n]
	}
	for _, d := range j.Rights.Missing {
		if d.Unknown {
			continue
		}
		l := of(d.Purpose)
		if l.what == nil {
			d.Command = "use " + d.Command
		}
		l.what, l.names, l.said = append(l.what, d.Command), append(l.names, d.Name), append(l.said, d.Said)
	}
	if t, need := &j.SelfTest, j.purposeOfSelfTest(); mayNot(t.Err) && lacks[need] == nil {
		l := of(need)
		l.what, l.names, l.said = []string{t.Verb.String()}, []string{""}, []string{t.Err.Error()}
	}
	user := "its user"
	if j.Rights.User != "" {
		user = "the user " + j.Rights.User
	}
	report := func(s Severity, n node.Purpose, endangers string) {
		if l := lacks[n]; l != nil {
			j.add(s, "rights", fmt.Sprintf("%s may not %s: %s", user, strings.Join(l.what, ", "), l.said[0]), endangers, j.grant(n, *l))
		}
	}
	if j.locksWork() {
		// Newer servers lock, extend and release by native commands.
		report(Warning, node.ToLock, j.withoutRights())
	} else {
		report(Error, node.ToLock, j.quorum())
	}
	report(Warning, node.ToWake, "speed: waiters are not notified of releases, and retry after their delay")
	report(Warning, node.ToPing, pings)
	report(Note, node.ToShare, sharing)
	report(Note, node.ToBound, "speed, where a large text has the name of a lock: all of it is read")
	asked := map[bool]Severity{false: Note, true: Error}
	report(asked[j.Fair], node.ToQueue, "waiting with WithFair, which is refused, and so is RLock")
	report(asked[j.Fencing], node.ToFence, "locks with WithFencing, which are refused")
	report(asked[j.guarded()], node.ToGuard, "locks with WithRestartGuard, which are refused")
}

// purposeOfSelfTest is the purpose of the denied command of the self-test. If scripts are denied,
// all locks need it, not only those with an option.
func (j *judge) purposeOfSelfTest() node.Purpose {
	if t := &j.SelfTest; mayNot(t.Err) && strings.Contains(t.Err.Error(), "'eval") { // or 'evalsha'
		return node.ToLock
	}
	return j.SelfTest.Purpose()
}

// locksWork reports whether the self-test showed that locks with these options work, although a right
// is missing that they need on other servers. With a guard its scripts must have been tried: they have
// no replacement.
func (j *judge) locksWork() bool {
	t := &j.SelfTest
	passed := t.Err == nil && t.Wrong == "" && t.Verb == node.Release // the last verb of all
	return passed && (t.Guarded || !j.guarded())
}

// withoutRights says what is slower or refused if locks work although a right is missing.
func (j *judge) withoutRights() string {
	if j.mayNotRun() {
		return "speed: waiters are not notified of releases, and retry after their delay; and locks with WithFair, WithFencing or WithRestartGuard, which are refused"
	}
	return "speed: locks are taken, extended or released in another way"
}
