package fanout

import "github.com/quorumlock/quorumlock/internal/node"

// A View is what a node has under the key of a lock: a value, or nothing.
type View struct {
	Held  bool
	Value string // the same for all readers
}

// ViewOf is the value of a View: what a node said that holds the key.
func ViewOf(holder string) string {
	if _, _, shared := node.Readers(holder); shared {
		return "readers"
	}
	return holder
}

// HeldMost is the largest number of nodes that have the same value.
func HeldMost(answers []node.Answer) (most int) {
	counts := make(map[string]int)
	for _, a := range answers {
		if a.Status == node.Taken {
			counts[ViewOf(a.Holder)]++
			most = max(most, counts[ViewOf(a.Holder)])
		}
	}
	return most
}

// Mostly returns what most nodes have, and how many.
func Mostly(answers []node.Answer) (most View, nodes int) {
	counts := make(map[View]int)
	for _, a := range answers {
		switch a.Status {
		case node.Taken:
			counts[View{true, ViewOf(a.Holder)}]++
		case node.Absent:
			counts[View{}]++
		}
	}
	for v, n := range counts {
		if n > nodes {
			most, nodes = v, n
		}
	}
	return most, nodes
}
