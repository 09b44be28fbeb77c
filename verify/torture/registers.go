package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// An access is a write or a read of a register, as it is to be explained.
type access struct {
	Use
	write bool
}

// A group is the write of a value, and the reads that found it. In an order that explains them
// they stand side by side.
type group struct {
	value string
	all   []access
	// One of them had ended at first, and one began at last. The group comes as a whole before
	// another one, so it can only if that has none which had ended before last.
	first, last time.Duration
}

const never = time.Duration(1<<63 - 1)

// groupsOf sorts the accesses to one register by value, and groups by time. It leaves out
// what explains itself: writes of unknown outcome that nobody has read took place after all.
// Marks are reads of what was not written, or not yet.
//
// A write without an answer takes place at some time after its beginning, and before the first
// read that found it has ended: so long it is open. A watcher was told of what it read at an
// unknown time, but after the write had begun.
func groupsOf(name string, uses []Use) (groups []*group, marks []Mark) {
	byValue := map[string]*group{"": {all: []access{{Use{Begun: -1, Done: -1}, true}}}} // nothing was published
	for _, u := range uses {
		if u.Kind.writes() {
			w := access{u, true}
			if !u.acknowledged() {
				w.Done = never
			}
			byValue[u.Value] = &group{value: u.Value, all: []access{w}}
		}
	}
	for _, u := range uses {
		if u.Kind.writes() {
			continue
		}
		c := byValue[u.Value]
		if c == nil {
			marks = append(marks, Mark{Name: name, Begin: u.Begun, End: u.Done, Text: fmt.Sprintf("%s of client %d found %q, which was never written", u.Kind, u.Client+1, u.Value)})
			continue
		}
		write := c.all[0]
		if u.Done < write.Begun {
			marks = append(marks, Mark{Name: name, Begin: u.Begun, End: u.Done, Text: fmt.Sprintf("%s of client %d found %q before it was written", u.Kind, u.Client+1, u.Value)})
			continue
		}
		if u.Kind.watches() {
			u.Begun = write.Begun
		}
		c.all = append(c.all, access{u, false})
	}
	for _, c := range byValue {
		c.first, c.last = never, -never
		for _, a := range c.all {
			c.first, c.last = min(c.first, a.Done), max(c.last, a.Begun)
		}
		if c.first < never {
			c.all[0].Done = min(c.all[0].Done, max(c.first, c.all[0].Begun))
			groups = append(groups, c)
		}
	}
	slices.SortFunc(groups, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.begin(), b.begin()), cmp.Compare(a.value, b.value))
	})
	return groups, marks
}

// begin and end are those of the time in which a cluster can conflict with others.
func (c *group) begin() time.Duration { return min(c.first, c.last) }
func (c *group) end() time.Duration   { return max(c.first, c.last) }

// conflict reports whether neither of two values can come before the other one. Where no two
// conflict, and no value is read before it is written, there is an order that explains all.
// [Gibbons & Korach, Testing shared memories, 1997.]
func conflict(a, b *group) bool { return b.first < a.last && a.first < b.last }

// register checks that there is one order of the accesses to one register that explains them, by
// that rule and by porcupine.
func register(name string, uses []Use) (marks []Mark, linearizable bool) {
	groups, marks := groupsOf(name, uses)
	linearizable = len(marks) == 0
	var open []*group // that end after the last one began
	var window []*group
	fresh := 0 // groups that porcupine has not seen
	for _, c := range groups {
		open = slices.DeleteFunc(open, func(o *group) bool { return o.end() < c.begin() })
		for _, o := range open {
			if conflict(o, c) {
				begin, end := max(o.begin(), c.begin()), min(o.end(), c.end())
				marks = append(marks, Mark{Name: name, Begin: begin, End: end, Text: fmt.Sprintf(
					"each of two values was there before the other one: %q from before %.3fs until after %.3fs, %q from before %.3fs until after %.3fs",
					o.value, o.first.Seconds(), o.last.Seconds(), c.value, c.first.Seconds(), c.last.Seconds())})
			}
		}
		open = append(open, c)
		window = append(window, c)
		if fresh++; fresh == registerWindow {
			linearizable = registerIsLinearizable(window) && linearizable
			window, fresh = slices.Clone(open), 0
		}
	}
	return marks, registerIsLinearizable(window) && linearizable
}

// registerWindow is how many values porcupine is shown at a time. Each value is there with all of
// its accesses, so a window is a history of its own; any two values that may conflict are in one.
const registerWindow = 50

// A registerCall writes or finds a value, which is the number of a group.
type registerCall struct {
	write bool
	value int
}

var registerModel = model(-1, func(value int, c registerCall) (bool, int) {
	return c.write || c.value == value, c.value
})

func registerIsLinearizable(groups []*group) bool {
	var calls []porcupine.Operation
	for i, g := range groups {
		for _, a := range g.all {
			calls = append(calls, operation(registerCall{a.write, i}, a.Begun, a.Done))
		}
	}
	return porcupine.CheckOperations(registerModel, calls)
}
