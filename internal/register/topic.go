package register

import (
	"context"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

const (
	// backstop is how often a path is read although nothing was heard of it: a message may be
	// lost.
	backstop = time.Second
	// gathering is how long the messages of a majority are waited for when the first one comes.
	// A read that comes too early finds the value on one node only, and writes it back.
	gathering = 2 * time.Millisecond
)

// topics are the paths that are watched. All watchers of a path share one topic: one goroutine,
// one read for each news, and one wish for a channel.
type topics struct {
	mu    sync.Mutex
	byKey map[topicKey]*topic
}

type topicKey struct {
	key string
	led bool // the lock of the writer is watched, too
}

// A topic is a path that is watched. It ends with the last watcher, or with its Locker.
type topic struct {
	registers *Registers
	topicKey
	path   string
	ctx    context.Context // of its reads; ends when the last watcher has left
	cancel context.CancelFunc
	news   chan struct{} // has room for one: there is a reason to read

	// Protected by topics.mu.
	watchers map[*watcher]struct{}
	reads    int            // that have begun
	messages map[string]int // since the last read began, by text
	first    time.Time      // when the first of them came, zero if none did

	// Used by run only.
	failing time.Time // since when reads have failed, zero if they do not
}

// join adds a watcher until ctx ends.
func (ts *topics) join(ctx context.Context, r *Registers, k topicKey, path string, w *watcher) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.byKey[k]
	if t == nil {
		t = &topic{registers: r, topicKey: k, path: path, news: make(chan struct{}, 1), watchers: make(map[*watcher]struct{}), messages: make(map[string]int)}
		t.ctx, t.cancel = context.WithCancel(context.Background())
		ts.byKey[k] = t
		go t.run() // ends with the last watcher, or with the Locker
	}
	w.after = t.reads
	w.forget = context.AfterFunc(ctx, func() { t.leave(w) })
	t.watchers[w] = struct{}{}
	t.wake()
}

// leave ends a watcher, and the topic with the last one.
func (t *topic) leave(w *watcher) {
	ts := &t.registers.topics
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if _, watches := t.watchers[w]; !watches {
		return
	}
	delete(t.watchers, w)
	w.end()
	if len(t.watchers) == 0 {
		t.end()
	}
}

// end ends all watchers that are left. topics.mu is held.
func (t *topic) end() {
	for w := range t.watchers {
		w.forget()
		w.end()
	}
	clear(t.watchers)
	t.cancel()
	if ts := &t.registers.topics; ts.byKey[t.topicKey] == t {
		delete(ts.byKey, t.topicKey)
	}
}

func (t *topic) wake() {
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// run reads the path whenever there is a reason to. It subscribes first: what is published while
// it reads is heard of.
func (t *topic) run() {
	r := t.registers
	channels := []string{node.SideKey(t.key, "news")}
	if t.led {
		channels = append(channels, node.SideKey(t.key, "wake"))
	}
	for _, channel := range channels {
		defer r.Subscribe(channel, t.notify)()
	}
	for {
		number := t.begin()
		reading, lives, err := t.read()
		if t.ctx.Err() != nil {
			return
		}
		pause := t.pause(lives, err)
		if t.report(&reading, err) {
			t.deliver(number, reading)
		}
		if !t.rest(pause) {
			return
		}
	}
}

// begin counts a read that begins now.
func (t *topic) begin() int {
	ts := &t.registers.topics
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.reads++
	clear(t.messages)
	t.first = time.Time{}
	select {
	case <-t.news: // this read answers it
	default:
	}
	return t.reads
}

// read reads the path. What is found lives for so long if nobody prolongs it, 0 if for ever.
func (t *topic) read() (found Reading, lives time.Duration, err error) {
	const op = "watch"
	if t.led {
		led, err := t.registers.ReadLed(t.ctx, op, t.path, true)
		if err != nil {
			return Reading{}, 0, err
		}
		found = Reading{Kind: None, Holder: led.Holder}
		if led.Version != (node.Version{}) {
			found.Kind, found.Value = Some, led.Value
		}
		return found, led.TTL, nil
	}
	value, err := t.registers.Read(t.ctx, op, t.path)
	switch {
	case err != nil:
		return Reading{}, 0, err
	case value.Version == node.Version{}:
		return Reading{Kind: None}, 0, nil
	case value.Remains == 0:
		return Reading{Kind: Expired, Value: value}, 0, nil
	}
	return Reading{Kind: Some, Value: value}, value.Remains, nil
}

// report decides whether a reading is reported. One that failed is not before two node timeouts:
// keys of a lock expire one after the other, and a single failure says little.
func (t *topic) report(found *Reading, err error) bool {
	switch {
	case err == nil:
		t.failing = time.Time{}
		return true
	case t.failing.IsZero():
		t.failing = time.Now()
		return false
	}
	*found = Reading{Kind: Unknown, Err: err}
	return time.Since(t.failing) >= 2*t.registers.Timeout
}

// pause is how long to rest if nothing is heard.
func (t *topic) pause(lives time.Duration, err error) time.Duration {
	pause := backstop
	if err != nil {
		pause = min(pause, t.registers.Timeout)
	}
	if lives > 0 {
		pause = min(pause, lives+time.Millisecond)
	}
	return pause
}

// deliver tells the watchers of what read number has found.
func (t *topic) deliver(number int, found Reading) {
	ts := &t.registers.topics
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for w := range t.watchers {
		if w.after < number {
			w.tell(found)
		}
	}
}

// notify is called for every event on a channel of the topic.
func (t *topic) notify(event pool.Event) {
	ts := &t.registers.topics
	ts.mu.Lock()
	if event.Kind == pool.Message {
		t.messages[event.Message]++
	}
	if t.first.IsZero() {
		t.first = time.Now()
	}
	ts.mu.Unlock()
	t.wake()
}

// rest waits for the next reason to read. It returns false if the topic has ended.
func (t *topic) rest(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-t.news:
			early := t.early()
			if early <= 0 {
				return true
			}
			timer.Reset(min(early, pause))
		case <-t.registers.Closing:
			ts := &t.registers.topics
			ts.mu.Lock()
			defer ts.mu.Unlock()
			t.end()
			return false
		case <-t.ctx.Done():
			return false
		}
	}
}

// early is for how much longer the messages of other nodes are waited for.
func (t *topic) early() time.Duration {
	ts := &t.registers.topics
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for w := range t.watchers {
		if w.after == t.reads && !w.told {
			return 0 // it has just come
		}
	}
	for _, n := range t.messages {
		if n >= t.registers.Group.Majority() {
			return 0
		}
	}
	if t.first.IsZero() {
		return 0
	}
	return gathering - time.Since(t.first)
}
