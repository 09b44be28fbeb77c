package servers_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

func TestRealServersMiniredisAndTheModelShareALockAlike(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := backends(t, lib, func(p pool.Pool) pool.Pool { return p })
		together := 0
		for n := range rounds(20, 100) {
			together += shareAlike(t, all, lib.Seed(n))
		}
		if together < 100 {
			t.Errorf("only %d answers were about several readers", together)
		}
	})
}

// shareAlike reads, writes and downgrades at random on all backends, and compares what they say.
// together is how many answers were about several readers.
func shareAlike(t *testing.T, all []backend, seed uint64) (together int) {
	random := rand.New(rand.NewPCG(seed, 4))
	key := fmt.Sprint("shared", seed)
	var story []string
	for range 30 {
		verb := []node.Verb{node.Acquire, node.Acquire, node.AcquireOrFlag, node.AcquireOrFlag, node.Extend, node.Extend, node.Release, node.Inspect, node.Expire}[random.IntN(9)]
		value := fmt.Sprintf("rl1:%032d:me", 1+random.IntN(4))
		hours := time.Duration(1+random.IntN(99)) * time.Hour
		shared := random.IntN(4) > 0 && verb != node.Inspect
		flag := node.WaiterFlag{ID: "me", TTL: hours}
		flag.Position.Intent = random.IntN(3) == 0
		lease := node.NewEntry(key, value)
		token := int64(-1)
		if !shared && random.IntN(2) == 0 {
			token = randomToken(random)
			lease = lease.Fenced(new(node.Fence), token, 9999*time.Hour)
		}
		if shared {
			lease = lease.Shared(random.IntN(2) == 0)
		}
		seen := make(map[string][]string)
		for _, b := range all {
			a := b.askFor(t, verb, lease, hours, flag)
			said := describe(a)
			seen[said] = append(seen[said], b.name)
			if n, _, _ := node.Readers(a.Holder); n > 1 {
				together++
			}
		}
		story = append(story, fmt.Sprintf("%d %q for %v, shared %v, token %d, intent %v", verb, value, hours, shared, token, flag.Position.Intent))
		if len(seen) != 1 {
			t.Fatalf("seed %d: after\n%s\nthe answers differ: %v", seed, strings.Join(story, "\n"), seen)
		}
		if random.IntN(8) == 0 { // or the first writer that waits ends it
			for _, b := range all {
				b.remove("{" + key + "}:intent")
			}
		}
	}
	return together
}

func TestRealServersMiniredisAndTheModelTakeTheSameSlots(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := backends(t, lib, func(p pool.Pool) pool.Pool { return p })
		for n := range rounds(20, 100) {
			takeSlotsAlike(t, all, lib.Seed(n))
		}
	})
}

// takeSlotsAlike takes and gives back slots at random on all backends, and compares what they say.
func takeSlotsAlike(t *testing.T, all []backend, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 5))
	name := fmt.Sprint("slots", seed)
	slots := node.NewSlots(name+"/", name+"/0", name+"/1", name+"/2")
	var story []string
	for range 30 {
		verb := []node.Verb{node.Acquire, node.Acquire, node.AcquireOrFlag, node.Release}[random.IntN(4)]
		value, first := fmt.Sprintf("rl1:%032d:me", 1+random.IntN(5)), random.IntN(3)
		hours := time.Duration(1+random.IntN(99)) * time.Hour
		lease, token := node.NewEntry("", value).AnyOf(slots, first), int64(-1)
		if random.IntN(2) == 0 {
			token = randomToken(random)
			lease = lease.Fenced(new(node.Fence), token, 9999*time.Hour)
		}
		one := random.IntN(4) == 0 && verb != node.AcquireOrFlag
		if one {
			lease = node.NewEntry("", value).AnyOf(slots, first).Chosen(random.IntN(3))
		}
		seen := make(map[string][]string)
		for _, b := range all {
			a := b.askFor(t, verb, lease, hours, node.WaiterFlag{ID: "me", TTL: hours})
			a.Holder = "" // of one of several, whichever
			said := fmt.Sprintf("%s, slot %d", describe(a), a.Index)
			seen[said] = append(seen[said], b.name)
		}
		story = append(story, fmt.Sprintf("%d %q first %d for %v, token %d, one: %v", verb, value, first, hours, token, one))
		if len(seen) != 1 {
			t.Fatalf("seed %d: after\n%s\nthe answers differ: %v", seed, strings.Join(story, "\n"), seen)
		}
	}
}
