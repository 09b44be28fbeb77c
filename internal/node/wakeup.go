package node

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A wakeUp is a subscription to one channel, as a waiter has it.
type wakeUp struct {
	subscription pool.Subscription
	cancel       context.CancelFunc
}

// subscribe opens a subscription and waits until the server has joined it to the channel. Both
// results are nil for a client that cannot subscribe: it needs no right to do so.
func (x *examination) subscribe(channel string) (*wakeUp, error) {
	s, ok := x.node.pool.(pool.Subscriber)
	if !ok || x.broken != nil {
		return nil, x.broken
	}
	ctx, cancel := context.WithCancel(x.ctx)
	late := time.AfterFunc(x.Patience, cancel)
	defer late.Stop()
	subscription, err := s.Subscribe(ctx)
	if err != nil {
		cancel()
		return nil, redact(err)
	}
	w := &wakeUp{subscription, cancel}
	err = subscription.Join(channel)
	for joined := false; err == nil && !joined; {
		var event pool.Event
		event, err = subscription.Receive()
		joined = err == nil && event.Kind == pool.Joined
	}
	if err != nil {
		w.end(err)
		return nil, redact(err)
	}
	return w, nil
}

// message waits for a message, for as long as the Patience of the examination.
func (w *wakeUp) message(x *examination) (string, error) {
	late := time.AfterFunc(x.Patience, w.cancel)
	defer late.Stop()
	for {
		event, err := w.subscription.Receive()
		if err != nil {
			w.end(err)
			return "", redact(err)
		}
		if event.Kind == pool.Message {
			w.close()
			return event.Message, nil
		}
	}
}

// close ends the subscription.
func (w *wakeUp) close() { w.end(nil) }

// end is close after an error of Receive or Join. A subscription is closed after its context
// has ended and Receive has returned an error.
func (w *wakeUp) end(err error) {
	w.cancel()
	for err == nil {
		_, err = w.subscription.Receive()
	}
	_ = w.subscription.Close()
}
