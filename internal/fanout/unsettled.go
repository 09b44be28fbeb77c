package fanout

import (
	"context"
	"fmt"
	"slices"

	"github.com/quorumlock/quorumlock/internal/node"
)

// Which released claims of a group are not settled: for Close, which waits for them, and for an
// attempt that finds their values on the nodes.

// track adds a claim that is released, or will be.
func (g *Group) track(c *Claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unsettled[c.entry.Value()] = c
	if c.requeue && c.flag.Position.Ticket > 0 {
		g.requeuing.add(c)
	}
}

// untrack takes out a claim that is settled on all nodes.
func (g *Group) untrack(c *Claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.unsettled, c.entry.Value())
	g.requeuing.remove(c)
	if !c.inMinHold() {
		g.lastSettled[g.nextSettled] = c.entry.Value()
		g.nextSettled = (g.nextSettled + 1) % len(g.lastSettled)
	}
	if len(g.unsettled) == 0 && g.allSettled != nil {
		close(g.allSettled)
		g.allSettled = nil
	}
}

// IsLeftover reports whether value, which a node carried, is one of this group that had been
// released or given up, and was not gone there yet when the node was asked. A value within the
// minimum hold time is no leftover: it blocks all clients.
func (g *Group) IsLeftover(value string) bool {
	value = onlyHolder(value)
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.unsettled[value]
	return c != nil && !c.inMinHold() || g.settledLately(value)
}

// onlyHolder is the value of the only reader, if there is one. It is no value if there are more.
func onlyHolder(holder string) string {
	if n, one, shared := node.Readers(holder); shared && n == 1 {
		return one
	}
	return holder
}

// settledLately reports whether value is one of the last that were settled. An empty value is
// not one of ours. g.mu is held.
func (g *Group) settledLately(value string) bool {
	return value != "" && slices.Contains(g.lastSettled[:], value)
}

// Settle waits until every released claim is gone from every node. If ctx ends first it
// abandons those that are left. It returns one error per node that names the keys that may be
// left, because of that or because the node's client was closed.
func (g *Group) Settle(ctx context.Context) []error {
	g.mu.Lock()
	if len(g.unsettled) == 0 {
		g.mu.Unlock()
		return g.takeLeftKeys()
	}
	if g.allSettled == nil {
		g.allSettled = make(chan struct{})
	}
	settled := g.allSettled
	g.mu.Unlock()

	select {
	case <-settled:
		return g.takeLeftKeys()
	case <-ctx.Done():
		return append(g.abandonUnsettled(), g.takeLeftKeys()...)
	}
}

// abandonUnsettled abandons the claims that are not settled, and reports their keys.
func (g *Group) abandonUnsettled() []error {
	g.mu.Lock()
	claims := g.unsettled
	g.unsettled, g.requeuing = make(map[string]*Claim), make(requeueIndex)
	if g.allSettled != nil { // nil if all were settled meanwhile
		close(g.allSettled)
		g.allSettled = nil
	}
	g.mu.Unlock()

	keys, releases := make([][]string, len(g.nodes)), make([]int, len(g.nodes))
	for _, c := range claims {
		for _, i := range c.unsettledNodes() {
			keys[i] = append(keys[i], c.asked(node.Release).Keys()...)
			releases[i]++
		}
		c.abandon()
	}
	var errs []error
	for i, left := range keys {
		if len(left) == 0 {
			continue
		}
		errs = append(errs, fmt.Errorf("node %s: %d releases not confirmed; these keys may be left until they expire: %s", g.Name(i), releases[i], FirstFew(left)))
	}
	return errs
}
