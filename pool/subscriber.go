package pool

import "context"

// Subscriber is implemented by pools whose client can subscribe to channels. The lock
// subscribes to learn of releases. Without a Subscriber, or where the server refuses the
// subscription, waiting takes longer. Nothing else changes.
type Subscriber interface {
	// Subscribe opens a connection for this subscription alone. It is subscribed to no
	// channel yet. The connection lives until ctx ends or the connection breaks. If ctx
	// ends first, Subscribe returns an error.
	//
	// After an error the lock tries again later. An error that matches
	// [errors.ErrUnsupported] says that this client can never subscribe: package
	// pooltest then skips the cases about subscriptions.
	Subscribe(ctx context.Context) (Subscription, error)
}

// A Subscription is one connection that receives published messages. Join, Leave and Ping
// are called from one goroutine and Receive from another.
type Subscription interface {
	// Join and Leave subscribe to a channel and unsubscribe from it. They return when the
	// command is written. When the server has carried out a Join, Receive returns a Joined
	// event.
	Join(channel string) error
	Leave(channel string) error

	// Ping asks the server for an event of any kind, to see that the connection lives. It
	// is called only while a channel is joined.
	Ping() error

	// Receive waits for the next event. It returns an error when the ctx of Subscribe has
	// ended, when the connection broke, and when the server refused a Join. The error of a
	// refused Join is one that errors.As finds as [Error]. After an error the subscription
	// cannot be used any more. It does not connect again by itself: messages that it
	// missed meanwhile would go unnoticed.
	Receive() (Event, error)

	// Close releases the connection. It is called once, after that ctx ended and Receive
	// returned its error.
	Close() error
}

// An Event is something that the server sent to a [Subscription].
type Event struct {
	Kind    EventKind
	Channel string // of Joined and Message
	Message string // of Message
}

// EventKind is the kind of an [Event].
type EventKind uint8

const (
	Other   EventKind = iota // anything else, for instance the answer to Ping: the connection lives
	Joined                   // Channel is subscribed to from now on
	Message                  // Message was published on Channel
)
