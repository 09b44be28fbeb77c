package node

import "time"

// A Receiver is told what becomes of calls. Its methods may be called from any
// goroutine, with no lock of the node held, and must not block.
//
// When a call was told for the last time the node does not have it any more. It, its
// request and its deadline may then be used for something else, if the client is a
// [pool.Submitter].
type Receiver interface {
	// Answer is called exactly once per started call: with the node's answer,
	// with one that matches context.DeadlineExceeded at its deadline, or with
	// ErrBusy if the gate closed before it was sent.
	Answer(c *Call, a Answer)
	// Late is called once more for a call that was given up and had been handed
	// to the client, when the client returns from it at last.
	Late(c *Call, a Answer)
}

// A Call is one request on its way to one node. The exported fields are set
// before Start and not changed afterwards.
type Call struct {
	Request  *Request
	Deadline *Deadline // what the client gets as its context; the call is given up then
	Receiver Receiver
	Index    int // for the receiver: which node this is

	// Protected by Node.mu.
	state         callState
	lost          bool      // it was sent before, on a connection that ended or in another form; see Answer.Lost
	repeats       uint8     // how often it was sent again; see resend.go
	list          int32     // of those in flights, the one that has it
	prev, next    *Call     // there
	giveUpAt      time.Time // when it is given up there
	connectionErr *error    // how the last connection ended on which it was sent, nil if none did

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
