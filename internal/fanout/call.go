package fanout

import (
	"errors"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A call is one command to one node, with its answer. Most are the question of a round.
type call struct {
	node.Call
	claim     *Claim
	round     *Round      // nil if no round waits for it
	coalesced *call       // an earlier release that was not sent: this one is sent for both, and they share the answer
	answer    node.Answer // once there is one
	counted   bool        // the answer is part of the result, and constant with it
	due       bool        // sendAll is to send it

	// Protected by the claim's mutex, like answer.
	answered bool // Answer came
	returned bool // Late came
}

// errSuperseded is the answer to a command that was replaced by a later one before it was
// sent, such as an extension by the release.
var errSuperseded = errors.New("superseded before it was sent")

// Answer implements node.Receiver.
func (c *call) Answer(_ *node.Call, a node.Answer) {
	claim, i, joined := c.claim, c.Index, c.joined(a) // the memory of c may be part of another round when it is answered
	claim.send(claim.takeAnswer(c, a))
	claim.answered(i, joined)
}

// Late implements node.Receiver.
func (c *call) Late(_ *node.Call, a node.Answer) {
	claim, i, joined := c.claim, c.Index, c.joined(a)
	claim.takeLate(c, a)
	claim.answered(i, joined)
}

// joined reports whether the call took a position in the wait queue, and not the key.
func (c *call) joined(a node.Answer) bool {
	return c.Request.Verb == node.AcquireInTurn && a.Answered() && a.Status != node.Granted
}

// answered gives back what an answer of node i says that the claim has there, and no longer needs.
func (c *Claim) answered(i int, joined bool) {
	c.dropStray(i)
	if joined {
		c.leaveAgain(i)
	}
}

// vote records the answer to the call, and to the releases that it was sent for as well, and
// passes it to the rounds that asked, if any. The claim's mutex is held.
func (c *call) vote(a node.Answer) {
	c.record(a)
	for c.coalesced != nil {
		earlier := c.coalesced
		c.coalesced, earlier.coalesced = earlier.coalesced, nil
		earlier.record(a)
		earlier.finished() // it never was with the node, and nothing leads to it any more
	}
}

func (c *call) record(a node.Answer) {
	c.answer = a
	if c.round != nil {
		c.round.count(c)
	}
}

// supersede ends a call that was not sent and that its node state does not refer to.
func (c *call) supersede() {
	c.vote(node.Answer{Err: errSuperseded})
	c.finished()
}

// finished is called once for each call, when nothing uses it any more. One of these holds:
//
//   - It was answered, and its client has returned. (Of a call that is given up, Answer and
//     Late are called on two goroutines, in any order: both must have come.) The node tells
//     that last: by then it has taken the call out of its lists, and the circuit breaker
//     has forgotten it if it was a probe. The client has given back the context and the
//     arguments.
//   - Or it was never sent: the node refused it, or a later call superseded it.
//
// Besides, nothing refers to it any more: not its node state, not the call that follows it on
// the node, which was chosen by then, and not a later release that was sent for it as well, which
// was answered by then.
func (c *call) finished() {
	if c.round != nil {
		c.round.unref()
	}
}

// releasedKey reports whether the call was a release and the node carried it out.
func (c *call) releasedKey() bool {
	return c != nil && c.Request.Verb.Releases() && c.answer.Status != node.Failed
}

// foundNoKey reports whether the call was an extension of a key that is gone.
func (c *call) foundNoKey() bool {
	return c != nil && c.Request.Verb == node.Extend && c.answer.Status == node.Absent
}
