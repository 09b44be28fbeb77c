// Package fanout puts one question to all nodes at once, decides when the outcome and the
// reason for it are certain, and afterwards brings every node into the state that the outcome
// says, however late it answers.
//
//	Group         the nodes of a Locker
//	Claim         one attempt's value on all nodes
//	nodeState     what is known about a claim on one node
//	Round         one question to all nodes on behalf of a claim
//	Result        what the nodes answered
//	releaseQueue  the pending releases of one node: those that are repeated
package fanout

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/pool"
)

// A Group is the set of nodes that decide together. It is safe for concurrent
// use.
type Group struct {
	nodes    []*node.Node
	pending  []*releaseQueue // one for each node
	drift    float64
	guard    node.Guard // zero if restarts are not guarded
	scripts  *node.Scripts
	waiterID any // a string that tells this group from others that wait for the same lock

	onDuplicate func(i int) // see OnDuplicate

	releaserID any // waiterID, or another id that the waiters of this process leave in their flags

	// signals are channels with room for one, and empty. A round uses one once: count
	// sends, Wait receives and gives it back. The channel of a round that was not waited
	// for to the end is not reused. (They are the group's, since a channel of one synctest
	// bubble must not be used in another.)
	signals sync.Pool
	rounds  roundPool // nil if rounds are left to the garbage collector

	proposer proposer // of fencing tokens
	pace     pace

	mu          sync.Mutex
	unsettled   map[string]*Claim // by value: released, and not yet certain to be gone from every node
	requeuing   requeueIndex      // of unsettled
	lastSettled [32]string        // values of the claims that were settled last
	nextSettled int
	allSettled  chan struct{} // made by Settle, closed when unsettled is empty
	leftKeys    [][]leftKeys  // by node, see abandonNode
	leftUnnamed []int         // how many more are left on each node
}

// NewGroup returns the group of the nodes behind pools. drift is how much
// faster or slower than ours a node's clock may run, as a fraction. longest, if not 0,
// is the TTL that no lock exceeds: then nodes that may have forgotten locks do not count
// until all have expired. changed, if not nil, is called when a node fails and, with nil,
// when it works again. It must not block.
func NewGroup(pools []pool.Pool, drift float64, longest time.Duration, changed func(n *node.Node, failure error)) *Group {
	g := &Group{drift: drift, waiterID: newWaiterID(), unsettled: make(map[string]*Claim), requeuing: make(requeueIndex)}
	if longest > 0 {
		g.guard = node.Guard{Nodes: len(pools), Longest: longest, Quarantine: quorum.Lifetime(longest, drift)}
	}
	g.releaserID = g.waiterID
	g.scripts = g.guard.Scripts()
	g.signals.New = func() any { return make(chan struct{}, 1) }
	if allSubmit(pools) {
		g.rounds = new(sync.Pool)
	}
	for _, p := range pools {
		n := node.New(p)
		n.Fresh = fresh(drift)
		q := newReleaseQueue(n)
		if changed != nil {
			n.Changed = func(failure error) { changed(n, failure) }
		}
		g.nodes = append(g.nodes, n)
		g.pending = append(g.pending, q)
	}
	return g
}

// OnNoConn has f called when the client of node i had no connection for a call. f must not
// block. It is set before the first call.
func (g *Group) OnNoConn(f func(i int)) {
	for i, n := range g.nodes {
		n.NoConn = func() { f(i) }
	}
}

// SetReleaser sets the waiter id of releases without a ticket: the id that the waiters of this
// process leave in their flags. It is set before the first call.
func (g *Group) SetReleaser(waiterID string) { g.releaserID = waiterID }

// Share has the nodes use what is known about their servers, and add to it. It is called
// before the first call, with one for each node.
func (g *Group) Share(known []*node.Known) {
	for i, n := range g.nodes {
		n.Known = known[i]
	}
}

// Trust takes for granted that releases work on all nodes: for tests that count commands.
func (g *Group) Trust() {
	for _, n := range g.nodes {
		n.Trust()
	}
}

// newWaiterID returns an id that is no secret: it releases nothing.
func newWaiterID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails, see crypto/rand
	return hex.EncodeToString(id[:])
}

// Guard is what keeps nodes that may have forgotten locks from granting any.
func (g *Group) Guard() node.Guard { return g.guard }

// WaiterID is the id of this group in waiter flags and wait queues.
func (g *Group) WaiterID() string { return g.waiterID.(string) }

// Len is the number of nodes.
func (g *Group) Len() int { return len(g.nodes) }

// Majority is the number of nodes that decide.
func (g *Group) Majority() int { return quorum.Majority(len(g.nodes)) }

// Name is the name of node i.
func (g *Group) Name(i int) string { return g.nodes[i].String() }

// Stop lets go of what is kept for later. It comes after Settle.
func (g *Group) Stop() {
	for i, n := range g.nodes {
		g.pending[i].dropAbandoned()
		n.Stop()
	}
}

// FirstFew shows the first few of names, in order, each once.
func FirstFew(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 5 {
		return fmt.Sprintf("%q ...", names[:5])
	}
	return fmt.Sprintf("%q", names)
}
