package node

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/commands.txt anew")

const commandsIntro = `# What is sent to one node, for one lock. TestEveryCommandIsAsItIsWrittenDown compares this with
# the code; go test ./internal/node -run EveryCommand -rewrite writes it anew.
#
# job is the key, prefix and name; VALUE the value of this attempt, "rl1:", a nonce and the owner.
# WAITER is the id of a waiter: RELEASER, a dot and a number. RELEASER is an id that the Lockers of a
# process share if they have the same clients and habits (see waiting.Habits); LOCKER is that of
# one Locker. A release that finds the flag of another RELEASER notifies it. {job}:queue is the wait
# queue of WithFair, and {job}:lease says for how long each position in it counts.
# <release> stands for the hash of release.lua. A script that a node has not been sent yet goes
# out as EVAL and its text. The first number behind it is how many keys follow; lua/specs.go has the
# names of the keys and of the arguments, in this order. "else" is what is
# sent to a server that refuses the line before, see forms.go.
`

// What a reader wants to know first about a lock on Redis.
func TestEveryCommandIsAsItIsWrittenDown(t *testing.T) {
	const waiter, locker, releaser = "WAITER", "LOCKER", "RELEASER"
	ttl := 8 * time.Second
	flag := WaiterFlag{ID: waiter, TTL: time.Second}
	inQueue := WaiterFlag{ID: locker, TTL: time.Second, Position: QueuePosition{Ticket: 7, Next: 9, Last: 9, Count: 2, TTL: 2 * time.Second}}
	released := WaiterFlag{ID: releaser}
	leaves := WaiterFlag{ID: locker, Position: QueuePosition{Ticket: 7, TTL: 2 * time.Second}}
	unticketed := released
	unticketed.Position.TTL = leaves.Position.TTL
	requeue := leaves
	requeue.Position.Requeue = true
	intent := flag
	intent.Position.Intent = true
	afterReaders := released
	afterReaders.Position.Intent = true
	plain := NewEntry("job", "VALUE").Replacing("FORMER")
	guarded := guardedScripts.NewEntry("job", "VALUE")
	several := NewEntry("job", "VALUE").And("other")
	slots := NewEntry("", "VALUE").AnyOf(NewSlots("jobs/", "jobs/0", "jobs/1"), 1)
	text := Publication{Version: Version{1700000000000000, 1, 4711}, Text: "TEXT", Retention: 24 * time.Hour, Kept: 48 * time.Hour}
	again := text
	again.Former = true
	fenced := func(e Entry) Entry { return e.Fenced(new(Fence), 1700000000000000, 24*time.Hour) }

	var b strings.Builder
	b.WriteString(commandsIntro)
	for _, c := range []struct {
		what string
		r    *Request
		form []form
	}{
		{"TryLock, and the first attempt of Lock", NewRequest(Acquire, plain, ttl, flag), []form{native, evalsha}},
		{"The same with WithRestartGuard", NewRequest(Acquire, guarded, ttl, flag), []form{evalsha}},
		{"The same with WithFencing", NewRequest(Acquire, fenced(plain), ttl, flag), []form{evalsha}},
		{"A further attempt of Lock: it leaves the waiter flag", NewRequest(AcquireOrFlag, plain, ttl, flag), []form{evalsha, native, shortsha}},
		{"An attempt of Lock with WithFair", NewRequest(AcquireInTurn, plain, ttl, inQueue), []form{evalsha}},
		{"Extend, and each renewal", NewRequest(Extend, plain, ttl, flag), []form{evalsha, setIfeq}},
		{"A node that lost the key is taken again, with WithFencing", NewRequest(Acquire, fenced(plain).Retake(), ttl, flag), []form{evalsha}},
		{"Unlock: to every node, also to one that did not grant", NewRequest(Release, plain, 0, released), []form{evalsha, shortsha, delex, delifeq}},
		{"Unlock with WithFair, if no waiter drew a ticket", NewRequest(Release, plain, 0, unticketed), []form{evalsha}},
		{"Unlock with WithFair", NewRequest(Release, plain, 0, leaves), []form{evalsha}},
		{"Unlock within WithMinHold: the key expires by itself", NewRequest(Expire, plain, 3*time.Second, released), []form{evalsha, setIfeq}},
		{"An attempt that failed, or Unlock of a lock that has ended, on each node that may have the key", NewRequest(Release, plain, 0, WaiterFlag{}), []form{evalsha}},
		{"Before the first acquire on a node: does a release work there?", NewRequest(Acquire, plain, ttl, flag).probe(), []form{evalsha}},
		{"Attach", NewRequest(Swap, plain, ttl, flag), []form{evalsha, setIfeq}},
		{"Inspect, and Watch, which leaves a flag", NewRequest(Inspect, plain, 0, flag), []form{evalsha}},
		{"An attempt that failed with WithFair: the position is kept", NewRequest(Release, plain, 0, requeue), []form{evalsha}},
		{"Whether a node answers again, see breaker.go", pingRequest, []form{native}},
		{"TryLockAll, and the first attempt of LockAll", NewRequest(Acquire, several, ttl, flag), []form{evalsha}},
		{"Unlock of several names", NewRequest(Release, several, 0, released), []form{evalsha}},
		{"TryRLock, and the first attempt of RLock", NewRequest(Acquire, plain.Shared(false), ttl, flag), []form{evalsha}},
		{"A further attempt of RLock", NewRequest(AcquireOrFlag, plain.Shared(false), ttl, flag), []form{evalsha}},
		{"A further attempt of Lock after one that found readers", NewRequest(AcquireOrFlag, plain, ttl, intent), []form{evalsha}},
		{"Unlock after that", NewRequest(Release, plain, 0, afterReaders), []form{evalsha}},
		{"Extend and each renewal of a reader, and Downgrade", NewRequest(Extend, plain.Shared(false), ttl, flag), []form{evalsha}},
		{"Unlock of a reader", NewRequest(Release, plain.Shared(false), 0, released), []form{evalsha}},
		{"TryAcquire of a semaphore, and the first attempt of Acquire", NewRequest(Acquire, slots, ttl, flag), []form{evalsha}},
		{"A further attempt of Acquire", NewRequest(AcquireOrFlag, slots, ttl, flag), []form{evalsha}},
		{"An attempt that failed, on each node that may have granted a slot", NewRequest(Release, slots, 0, WaiterFlag{}), []form{evalsha}},
		{"Extend of a permit", NewRequest(Extend, slots.Chosen(1), ttl, flag), []form{evalsha}},
		{"Release of a permit", NewRequest(Release, slots.Chosen(1), 0, released), []form{evalsha}},
		{"Board.Latest, and each read of a watched path", NewRead(ValueKey("job")), []form{evalsha}},
		{"Board.Publish first asks for the version, by the script of Latest if no node has stated its time lately", NewReadVersion(ValueKey("job")), []form{native}},
		{"Then it stores the text", NewPublish(ValueKey("job"), nil, text), []form{evalsha}},
		{"A read stores a text again where nodes have different ones", NewPublish(ValueKey("job"), nil, again), []form{evalsha}},
		{"Board.PublishAs, by the holder of job", NewPublish(ValueKey("path"), &plain, text), []form{evalsha}},
		{"Leadership.Proclaim", NewPublish(LeaderKey("job"), &plain, text), []form{evalsha}},
		{"Election.Leader; Observe leaves a flag", NewReadLed("job", 10*time.Second), []form{evalsha}},
	} {
		fmt.Fprintf(&b, "\n%s\n", c.what)
		for i, f := range c.form {
			if i > 0 {
				b.WriteString("  else")
			}
			for _, arg := range c.r.command(f) {
				if f == evalsha || f == shortsha {
					if script := c.r.script(f); arg == c.r.entry.scripts.all[script].SHA {
						arg = fmt.Sprintf("<%s>", script)
					}
				}
				if arg == "" {
					arg = `""`
				}
				fmt.Fprintf(&b, "  %v", arg)
			}
			b.WriteString("\n")
		}
	}
	const file = "testdata/commands.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || b.String() != string(want) {
		t.Errorf("what is sent is not what %s says (%v):\n%s", file, err, b.String())
	}
}
