package pool

import "context"

// Subscriber is implemented by pools whose client can listen to channels. The
// lock uses it to hear of releases; without it, or where the server refuses it,
// waiting costs more time and nothing else.
type Subscriber interface {
	// Subscribe opens a connection of its own that listens to nothing yet. It
	// lives until ctx ends or it breaks. Subscribe itself ends with ctx, too.
	Subscribe(ctx context.Context) (Subscription, error)
}

// A Subscription is one connection that listens. Join, Leave and Ping are called
// from one goroutine and Receive from another.
type Subscription interface {
	// Join and Leave start and stop listening to a channel. They return when the
	// command is written; Receive returns a Joined event when the server has
	// carried out a Join.
	Join(channel string) error
	Leave(channel string) error

	// Ping asks for an event of any kind, to see that the connection lives. It is
	// called only while a channel is joined.
	Ping() error

	// Receive waits for what comes next. It returns an error when ctx has ended,
	// the connection broke, or the server refused a Join: then errors.As finds it
	// as [Error]. The subscription is of no use afterwards. It does not connect
	// anew: what was missed meanwhile would go unnoticed.
	Receive() (Event, error)

	// Close lets go of the connection. It is called once, after ctx ended and
	// Receive returned its error.
	Close() error
}

// An Event is something that a server told a [Subscription].
type Event struct {
	Kind    EventKind
	Channel string // Joined, Message
	Message string // Message
}

// EventKind says what an [Event] is.
type EventKind uint8

const (
	Other   EventKind = iota // a sign of life
	Joined                   // the channel is listened to from now on
	Message                  // somebody published Message on Channel
)
