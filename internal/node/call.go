package node

import "time"

// A Receiver gets the answers to calls. Its methods may be called from any goroutine, with no
// lock of the node held, and must not block.
//
// After the last answer to a call the node does not refer to the call. The call, its request
// and its deadline may then be used for something else, if the client is a [pool.Submitter].
type Receiver interface {
	// Answer is called exactly once per started call: with the node's answer, with one that
	// matches context.DeadlineExceeded at the deadline, or with ErrBusy if the circuit breaker
	// opened before the call was sent.
	Answer(c *Call, a Answer)
	// Late is called once more for a call that was given up while the client had it, when the
	// client returns from it.
	Late(c *Call, a Answer)
}

// A Call is one request on its way to one node. The exported fields are set
// before Start and not changed afterwards.
type Call struct {
	Request  *Request
	Deadline *Deadline // the client's context; the call is given up when it ends
	Receiver Receiver
	Index    int // of the node, for the receiver

	// Protected by Node.mu.
	state         callState
	sentBefore    bool      // it was sent before, on a connection that ended or in another form: see Answer.SentBefore
	repeats       uint8     // how often it was sent again: see resend.go
	list          int32     // the list of inFlightCalls that has it
	prev, next    *Call     // in that list
	giveUpAt      time.Time // its deadline, or up to slack later
	connectionErr *error    // how the last connection ended on which it was sent, nil if none ended

	// For a client that calls back; it has the call meanwhile.
	node *Node
	step step
}

type callState uint8

const (
	queued  callState = iota // waits for a worker, or for room with the client
	sent                     // is with the client
	paused                   // was sent, and is to be sent again
	givenUp                  // past its deadline
	done
)
