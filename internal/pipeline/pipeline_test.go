package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

var demotions = map[string]pool.Error{
	"demoted":             "READONLY You can't write against a read only replica.",
	"demoted in a script": "ERR Error running script (call to f_0a9f75e991483d02789696e4c90d26c10395863e): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.", // Redis 6.2
	"demoted by a proxy":  "ERR READONLY You can't write against a read only replica.",
	"without a master":    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
	"without, in a proxy": "ERR upstream: MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
}

// A server answers every command with its first argument, unless it is frozen, and
// "refuse" and those of demotions with an error. It notes what reached it, flush by flush.
type server struct {
	mu      sync.Mutex
	frozen  bool
	down    error
	hang    bool          // dials do not return before their context ends
	hanging chan struct{} // as long as it is open, dials do not return, whatever their contexts
	full    chan struct{} // as long as it is open, writes block
	eager   bool          // Send writes what it can
	dials   int
	flushes [][]string
	conns   []*conn
}

type conn struct {
	server  *server
	buffer  []string
	replies chan string
	once    sync.Once
	closed  chan struct{}
	held    []string // commands that a frozen server has in its socket
}

func (s *server) dial(ctx context.Context) (Conn, error) {
	s.mu.Lock()
	s.dials++
	down, hang, hanging := s.down, s.hang, s.hanging
	s.mu.Unlock()
	time.Sleep(dialing)
	if hanging != nil {
		<-hanging
	}
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if down != nil {
		return nil, down
	}
	c := &conn{server: s, replies: make(chan string, 1000), closed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	return c, nil
}

func (c *conn) Send(args []any) error {
	c.buffer = append(c.buffer, args[0].(string))
	c.server.mu.Lock()
	eager, full := c.server.eager, c.server.full
	c.server.mu.Unlock()
	if eager && full != nil {
		<-full
	}
	return nil
}

func (c *conn) Flush() error {
	select {
	case <-c.closed:
		return errors.New("closed")
	default:
	}
	c.server.mu.Lock()
	full := c.server.full
	c.server.mu.Unlock()
	if full != nil {
		<-full
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.flushes = append(c.server.flushes, slices.Clone(c.buffer))
	if c.server.frozen {
		c.held = append(c.held, c.buffer...)
	} else {
		for _, text := range c.buffer {
			c.replies <- text
		}
	}
	c.buffer = c.buffer[:0]
	return nil
}

func (c *conn) Receive() (any, error) {
	select {
	case text := <-c.replies:
		switch text {
		case "refuse":
			return nil, pool.Error("ERR refused")
		}
		if refusal, ok := demotions[text]; ok {
			return nil, refusal
		}
		return text, nil
	case <-c.closed:
		return nil, io.EOF
	}
}

func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (s *server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) thaw() {
	s.set(func() {
		s.frozen = false
		for _, c := range s.conns {
			for _, text := range c.held {
				c.replies <- text
			}
			c.held = nil
		}
	})
}

// last is the newest connection.
func (s *server) last() *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[len(s.conns)-1]
}

func (s *server) writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flushes)
}

func (s *server) sent() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, flush := range s.flushes {
		all = append(all, strings.Join(flush, " "))
	}
	return strings.Join(all, "|")
}

// A note records the outcomes of a receiver.
type note struct {
	mu    sync.Mutex
	times int
	reply any
	err   error
	at    time.Time
}

func (n *note) Receive(reply any, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.times++
	n.reply, n.err, n.at = reply, err, time.Now()
}

func (n *note) want(t *testing.T, reply string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.times != 1 || n.err != nil || n.reply != reply {
		t.Errorf("%d outcomes, last %v, %v; want %q", n.times, n.reply, n.err, reply)
	}
}

func (n *note) wantError(t *testing.T, sent bool, targets ...error) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.times != 1 || n.err == nil || errors.Is(n.err, pool.ErrNotSent) == sent {
		t.Errorf("%d outcomes, last %v, %v; want an error, sent: %v", n.times, n.reply, n.err, sent)
	}
	for _, target := range targets {
		if !errors.Is(n.err, target) {
			t.Errorf("error %v does not match %v", n.err, target)
		}
	}
}

const (
	timeout = 400 * time.Millisecond
	dialing = time.Millisecond // what it takes to connect
)

// onServer runs f in a bubble on a pipe to a server.
func onServer(t *testing.T, f func(t *testing.T, p *Pipe, s *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		p := New(s.dial)
		defer func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(t, p, s)
	})
}

func submit(t *testing.T, p *Pipe, text string) *note {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	n := new(note)
	p.Submit(ctx, n, text)
	return n
}

// settle lets everything happen that takes no longer than to connect.
func settle() {
	time.Sleep(2 * dialing)
	synctest.Wait()
}

// warm opens the connection.
func warm(t *testing.T, p *Pipe) {
	t.Helper()
	n := submit(t, p, "warm")
	settle()
	n.want(t, "warm")
}

func TestALoneCallerWritesByItself(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		s.set(func() { s.frozen = true })
		for i := range maxCalls {
			submit(t, p, fmt.Sprint(i))
			if got, want := s.writes(), i+2; got != want { // without waiting for any other goroutine
				t.Errorf("%d writes when Submit returned, want %d", got, want)
			}
		}
		more := submit(t, p, "more")
		s.thaw()
		settle()
		more.want(t, "more")
	})
}

// What a caller writes must fit into the socket's buffer even if the server reads
// nothing.
func TestACallerLeavesToTheWriterWhatMightBlock(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		s.set(func() { s.frozen = true })
		submit(t, p, strings.Repeat("a", maxBytes/2))
		full := make(chan struct{})
		s.set(func() { s.full = full })
		submit(t, p, strings.Repeat("b", maxBytes/2)) // together they might not fit
		large := submit(t, p, strings.Repeat("c", maxBytes))
		settle()
		close(full)
		s.thaw()
		settle()
		large.want(t, strings.Repeat("c", maxBytes))
	})
}

func TestCommandsThatWaitTravelTogetherInOrder(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		var notes []*note
		for i := range 9 {
			notes = append(notes, submit(t, p, fmt.Sprint(i)))
		}
		settle()
		for i, n := range notes {
			n.want(t, fmt.Sprint(i))
		}
		if got := s.sent(); got != "0 1 2 3 4 5 6 7 8" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestAnErrorOfTheServerIsAReply(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		refused, after := submit(t, p, "refuse"), submit(t, p, "after")
		settle()
		refused.wantError(t, true, pool.Error("ERR refused"))
		after.want(t, "after")
		if s.dials != 1 {
			t.Errorf("%d connections", s.dials)
		}
	})
}

func TestAServerThatWasDemotedIsLookedUpAgain(t *testing.T) {
	for says := range demotions {
		onServer(t, func(t *testing.T, p *Pipe, s *server) {
			demoted, behind := submit(t, p, says), submit(t, p, "behind")
			settle()
			demoted.wantError(t, true)
			// The outcome of this one is unknown: the refusal was not for it.
			behind.wantError(t, true)
			if refusal := pool.Error(""); errors.As(behind.err, &refusal) || !errors.As(demoted.err, &refusal) {
				t.Errorf("%s: %v, behind it: %v", says, demoted.err, behind.err)
			}
			warm(t, p)
			if s.dials != 2 {
				t.Errorf("%s: %d connections, want 2", says, s.dials)
			}
		})
	}
}

func TestALateReplyIsReportedAndNotTakenForAnothers(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		s.set(func() { s.frozen = true })
		late := submit(t, p, "late")
		time.Sleep(timeout + grace/2)
		if late.times != 0 {
			t.Error("given up although the server may yet answer")
		}
		next := submit(t, p, "next")
		s.thaw()
		settle()
		late.want(t, "late")
		next.want(t, "next")
	})
}

func TestCallsAfterAnOverdueOneGetANewConnectionAndTheOldOneEndsWithItsReplies(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		first := s.last()
		s.set(func() { s.frozen = true })
		late := submit(t, p, "late")
		time.Sleep(timeout)
		settle()
		s.set(func() { s.frozen = false }) // for what comes from now on
		for range 3 {
			warm(t, p)
		}
		if s.dials != 2 || late.times != 0 {
			t.Errorf("%d connections, %d outcomes", s.dials, late.times)
		}
		s.thaw()
		settle()
		late.want(t, "late")
		select {
		case <-first.closed:
		default:
			t.Error("the old connection is left")
		}
		warm(t, p)
		if s.dials != 2 {
			t.Errorf("%d connections", s.dials)
		}
	})
}

// To connect, to greet the server and to wait for an answer may take longer together
// than callers wait, where an answer alone does not.
func TestAConnectionWhoseRepliesAllCameLateIsUsedAgain(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		s.set(func() { s.frozen = true })
		late := submit(t, p, "late")
		time.Sleep(timeout)
		settle()
		s.thaw()
		settle()
		late.want(t, "late")
		for range 3 {
			warm(t, p)
		}
		if s.dials != 1 {
			t.Errorf("%d connections", s.dials)
		}
	})
}

func TestACallThatWaitsForANewConnectionGetsTheOldOneIfThatIsFirst(t *testing.T) {
	for name, down := range map[string]error{"the new one comes late": nil, "the new one is refused": errors.New("refused")} {
		t.Run(name, func(t *testing.T) {
			onServer(t, func(t *testing.T, p *Pipe, s *server) {
				warm(t, p)
				hanging := make(chan struct{})
				s.set(func() { s.frozen, s.hanging, s.down = true, hanging, down })
				late := submit(t, p, "late")
				time.Sleep(timeout)
				settle()
				next := submit(t, p, "next")
				settle()
				s.thaw()
				settle()
				late.want(t, "late")
				next.want(t, "next")

				full := make(chan struct{})
				s.set(func() { s.full = full })
				submit(t, p, strings.Repeat("a", maxBytes))
				settle()
				held := submit(t, p, "held") // waits for the writer of the connection that is used again
				settle()
				close(hanging)
				settle()
				if held.times != 0 {
					t.Error("the end of the dial called the receiver of a call that had ended")
				}
				if down == nil {
					select {
					case <-s.last().closed:
					default:
						t.Error("there are two connections")
					}
				}
				close(full)
				s.set(func() { s.full = nil })
				settle()
				held.want(t, "held")
				warm(t, p)
				if s.dials != 2 {
					t.Errorf("%d connections", s.dials)
				}
			})
		})
	}
}

// A connection that was put to use again may be overdue again, or break, before the
// dial returns.
func TestOneDialAtATimeAlsoIfTheOldConnectionCameBackMeanwhile(t *testing.T) {
	for name, end := range map[string]func(s *server){"overdue": func(*server) {}, "broken": func(s *server) { s.last().Close() }} {
		t.Run(name, func(t *testing.T) {
			onServer(t, func(t *testing.T, p *Pipe, s *server) {
				warm(t, p)
				hanging, full := make(chan struct{}), make(chan struct{})
				s.set(func() { s.frozen, s.hanging = true, hanging })
				submit(t, p, "late")
				time.Sleep(timeout)
				settle()
				next := submit(t, p, "next") // which dials
				settle()
				s.thaw()
				settle()
				next.want(t, "next")

				s.set(func() { s.full = full })
				submit(t, p, strings.Repeat("a", maxBytes))
				time.Sleep(timeout / 2)
				waits := submit(t, p, "waits") // for the writer
				end(s)
				time.Sleep(timeout * 3 / 4) // overdue is the one before
				settle()
				s.set(func() {
					if s.dials != 2 {
						t.Errorf("%d dials at a time", s.dials-1)
					}
				})
				close(full)
				close(hanging)
				settle()
				if waits.times != 1 {
					t.Errorf("%d outcomes", waits.times)
				}
				s.set(func() { s.full = nil })
				warm(t, p)
			})
		})
	}
}

// A server that is always slower than the callers wait must not cost a connection
// for each call.
func TestThereIsOneOldConnectionAtMost(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		s.set(func() { s.frozen = true })
		for range 100 {
			submit(t, p, "slow")
			time.Sleep(timeout / 10)
		}
		time.Sleep(time.Minute)
		if limit := int(100*timeout/10/grace)*2 + 2; s.dials > limit {
			t.Errorf("%d connections, want %d at most", s.dials, limit)
		}
	})
}

func TestNoCallWaitsForACancelledOne(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		s.set(func() { s.frozen = true })
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Millisecond, cancel)
		if _, err := p.Do(ctx, "endless"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		s.set(func() { s.frozen = false })
		warm(t, p)
	})
}

func TestACancelledCallWithoutADeadlineDoesNotKeepItsConnection(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		first := s.last()
		s.set(func() { s.frozen = true })
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Millisecond, cancel)
		p.Do(ctx, "endless")
		time.Sleep(grace)
		synctest.Wait()
		select {
		case <-first.closed:
		default:
			t.Error("the old connection is left")
		}
	})
}

func TestWhatWasCancelledWhileItWaitedIsNotSent(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		ctx, cancel := context.WithCancel(context.Background())
		n := new(note)
		p.Submit(ctx, n, "ended")
		cancel() // the connection is not there yet
		warm(t, p)
		n.wantError(t, false, context.Canceled)
		if got := s.sent(); got != "warm" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestNothingNewIsSentOnTheOldConnection(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		full := make(chan struct{})
		s.set(func() { s.full, s.hang = full, true })
		submit(t, p, strings.Repeat("a", maxBytes)) // the writer is busy with it
		time.Sleep(timeout)
		next := submit(t, p, "next")
		settle()
		if next.times != 0 || strings.Contains(s.sent(), "next") {
			t.Error("sent where it may have to wait behind others")
		}
		close(full)
		s.set(func() { s.full = nil })
		settle()
		next.want(t, "next") // no call is before it any more
	})
}

func TestOneCancelledCallAfterAnotherLosesNoConnection(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		s.set(func() { s.frozen = true })
		for range 3 {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(10*dialing, cancel)
			p.Do(ctx, "endless")
		}
		if s.dials != 2 {
			t.Errorf("%d connections, want 2: a new one and an old one", s.dials)
		}
	}) // Close ends all that it knows, and waits for all there are
}

// The socket is full, and has room again when it is too late for the second.
func TestACallAfterABlockedWriteIsNotSentAfterItsDeadline(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		full := make(chan struct{})
		s.set(func() { s.full, s.eager = full, true })
		large := strings.Repeat("a", maxBytes)
		a, b := submit(t, p, large), submit(t, p, "b")
		time.Sleep(timeout + grace/2)
		close(full)
		s.set(func() { s.full = nil })
		settle()
		a.want(t, large)
		b.wantError(t, false, context.DeadlineExceeded)
		if got := s.sent(); strings.Contains(got, "b") {
			t.Errorf("sent %.20q", strings.ReplaceAll(got, "a", ""))
		}
	})
}

// The arguments of a command belong to the caller again after the outcome. Until Send has
// returned it reads them.
func TestAReplyToWhatIsStillBeingSentIsNone(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		full := make(chan struct{})
		s.set(func() { s.full, s.eager = full, true })
		large := strings.Repeat("a", maxBytes)
		a := submit(t, p, large)
		settle()
		s.last().replies <- large
		settle()
		if a.mu.Lock(); a.times > 0 {
			t.Errorf("outcome %v, %v while it is being sent", a.reply, a.err)
		}
		a.mu.Unlock()
		s.set(func() { s.full = nil })
		close(full)
		settle()
		a.wantError(t, true, errUnasked)
		b := submit(t, p, "b")
		settle()
		b.want(t, "b")
	})
}

func TestAnEarlierDeadlineIsKeptBehindALaterOne(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		s.set(func() { s.frozen = true })
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		patient := new(note)
		p.Submit(ctx, patient, "patient")
		start := time.Now()
		hasty := submit(t, p, "hasty")
		time.Sleep(time.Minute)
		hasty.wantError(t, true, context.DeadlineExceeded)
		if took := hasty.at.Sub(start); took != timeout+grace {
			t.Errorf("given up after %v, want %v", took, timeout+grace)
		}
	})
}

func TestCallsUnderWayAreBounded(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		s.set(func() { s.frozen = true })
		var last *note
		for range maxHeld + 1 {
			last = new(note)
			p.Submit(context.Background(), last, "one more")
		}
		settle()
		last.wantError(t, false, errFull)
	})
}

func TestAConnectionThatStaysSilentIsReplaced(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		s.set(func() { s.frozen = true })
		start := time.Now()
		lost := submit(t, p, "lost")
		time.Sleep(timeout / 2)
		second := submit(t, p, "second")
		time.Sleep(time.Minute)
		lost.wantError(t, true, context.DeadlineExceeded)
		second.wantError(t, true, context.DeadlineExceeded)
		if took := lost.at.Sub(start); took != timeout+grace {
			t.Errorf("given up after %v, want %v", took, timeout+grace)
		}
		s.set(func() { s.frozen = false })
		warm(t, p)
	})
}

func TestABrokenConnectionFailsItsCallsOnceAndIsReplacedAtTheNext(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		s.set(func() { s.frozen = true })
		var notes []*note
		for i := range 9 {
			notes = append(notes, submit(t, p, fmt.Sprint(i)))
		}
		settle()
		s.set(func() { s.frozen = false })
		s.last().Close()
		settle()
		for _, n := range notes {
			n.wantError(t, true, io.EOF)
		}
		warm(t, p)
		if s.dials != 2 {
			t.Errorf("%d connections, want 2", s.dials)
		}
	})
}

func TestARefusedConnectionFailsCallsAtOnceAndIsTriedAgainAfterAPause(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		refused := errors.New("connection refused")
		s.set(func() { s.down = refused })
		var notes []*note
		for range 100 { // within one pause
			n := submit(t, p, "frozen")
			time.Sleep(firstPause / 200)
			notes = append(notes, n)
		}
		settle()
		for _, n := range notes {
			n.wantError(t, false, refused)
		}
		if s.dials != 1 {
			t.Errorf("%d dials at one moment, want 1", s.dials)
		}
		for range 100 {
			time.Sleep(maxPause)
			submit(t, p, "frozen")
			settle()
		}
		if s.dials != 101 {
			t.Errorf("%d dials, want one for each pause", s.dials)
		}
		s.set(func() { s.down = nil })
		time.Sleep(maxPause)
		warm(t, p)
	})
}

func TestWhatCannotBeSentByItsDeadlineIsNotSent(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		s.set(func() { s.hang = true })
		start := time.Now()
		first := submit(t, p, "first")
		time.Sleep(dialTimeout - timeout/2)
		second := submit(t, p, "second")
		time.Sleep(time.Second)
		for _, n := range []*note{first, second} {
			n.wantError(t, false)
		}
		first.wantError(t, false, context.DeadlineExceeded)
		if took := first.at.Sub(start); took != timeout {
			t.Errorf("outcome after %v, want %v", took, timeout)
		}
		s.set(func() { s.hang = false })
		time.Sleep(maxPause)
		warm(t, p)
		if got := s.sent(); got != "warm" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		n := new(note)
		p.Submit(ctx, n, "ended")
		settle()
		n.wantError(t, false, context.Canceled)
		if got := s.sent(); got != "warm" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestDoEndsWithItsContextAndTakesBackWhatWasNotSent(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		s.set(func() { s.hang = true })
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(timeout, cancel)
		if _, err := p.Do(ctx, "unsent"); !errors.Is(err, context.Canceled) || !errors.Is(err, pool.ErrNotSent) {
			t.Errorf("not connected: %v", err)
		}
		s.set(func() { s.hang = false })
		time.Sleep(dialTimeout + maxPause)
		if reply, err := p.Do(context.Background(), "text"); reply != "text" || err != nil {
			t.Errorf("connected: %v, %v", reply, err)
		}
		s.set(func() { s.frozen = true })
		ctx, cancel = context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if _, err := p.Do(ctx, "sent"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, pool.ErrNotSent) {
			t.Errorf("frozen: %v", err)
		}
		if got := s.sent(); got != "text|sent" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestDoReportsThatNothingWasSentAlsoAtTheDeadline(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		s.set(func() { s.hang = true })
		for range 300 { // two timers come round at once: that of the context and that of the pipe
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			if _, err := p.Do(ctx, "unsent"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, pool.ErrNotSent) {
				t.Fatal(err)
			}
			cancel()
		}
	})
}

func TestACloseAnswersAllCallsAndLeavesNothing(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		warm(t, p)
		s.set(func() { s.frozen = true })
		sent := submit(t, p, "sent")
		p.Close()
		sent.wantError(t, true, pool.ErrClosed)
		after := submit(t, p, "after")
		settle()
		after.wantError(t, false, pool.ErrClosed)
	})
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		s.set(func() { s.hang = true })
		waits := submit(t, p, "waits")
		settle()
		p.Close()
		waits.wantError(t, false, pool.ErrClosed)
	})
}

// A receiver may need a lock that is held while it submits, and may submit itself.
func TestNoReceiverIsCalledBeforeSubmitReturnsAndReceiversMaySubmit(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s.set(func() { s.down = errors.New("connection refused") })
		rounds := 0
		r := new(again)
		r.next = func() {
			if rounds++; rounds < 100 {
				p.Submit(context.Background(), r, "again")
			}
		}
		for _, ctx := range []context.Context{context.Background(), ended, context.Background()} {
			r.mu.Lock()
			p.Submit(ctx, r, "again")
			r.mu.Unlock()
			time.Sleep(maxPause)
			settle()
			s.set(func() { s.down = nil })
		}
		if rounds < 100 {
			t.Errorf("%d rounds", rounds)
		}
	})
}

type again struct {
	mu   sync.Mutex
	next func()
}

func (a *again) Receive(any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next()
}

func TestManyCallersGetTheirOwnRepliesWhileConnectionsBreak(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		var all sync.WaitGroup
		for g := range 64 {
			all.Go(func() {
				for i := range 200 {
					text := fmt.Sprint(g, " ", i)
					ctx, cancel := context.WithTimeout(context.Background(), timeout)
					reply, err := p.Do(ctx, text)
					cancel()
					if err == nil && reply != text {
						t.Errorf("%q got %q", text, reply)
					}
					if g == 0 && i%20 == 0 {
						s.last().Close()
					}
				}
			})
		}
		all.Wait()
		if s.dials < 10 {
			t.Errorf("%d connections", s.dials)
		}
	})
}
