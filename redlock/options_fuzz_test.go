package redlock

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/internal/waiting"
)

// edges are durations at which something changes, or overflows.
var edges = []time.Duration{
	math.MinInt64, -1, 0, 1, 2 * time.Millisecond, 5 * time.Millisecond, minTTL - 1, minTTL, 40 * time.Millisecond, time.Second, 2 * time.Second,
	8 * time.Second, waiting.MaxFlagTTL, time.Hour, maxTTL - 1, maxTTL, maxTTL + 1, 4 * maxTTL, math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64,
}

// A program makes options of bytes: one for the function, others for its arguments.
type program struct {
	rest  []byte
	text  string
	given []string // names of the options
}

func (p *program) next() byte {
	if len(p.rest) == 0 {
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

func (p *program) eight() uint64 {
	var b [8]byte
	for i := range b {
		b[i] = p.next()
	}
	return binary.BigEndian.Uint64(b[:])
}

func (p *program) duration() time.Duration {
	if i := int(p.next()); i < len(edges) {
		return edges[i]
	}
	return time.Duration(p.eight())
}

func (p *program) ofLock() LockOption {
	name, option := "", LockOption(nil)
	switch p.next() % 9 {
	case 0:
		name, option = "WithTTL", WithTTL(p.duration())
	case 1:
		name, option = "WithNodeTimeout", WithNodeTimeout(p.duration())
	case 2:
		name, option = "WithRetryDelay", WithRetryDelay(p.duration(), p.duration())
	case 3:
		name, option = "WithMaxTries", WithMaxTries(int(int8(p.next())))
	case 4:
		name, option = "WithMaxWait", WithMaxWait(p.duration())
	case 5:
		name, option = "WithMaxHold", WithMaxHold(p.duration())
	case 6:
		name, option = "WithPlaceLease", WithPlaceLease(p.duration())
	case 7:
		name, option = "WithFair", WithFair()
	case 8:
		name, option = "WithKeepAlive", WithKeepAlive()
	}
	p.given = append(p.given, name)
	return option
}

func (p *program) ofLocker() Option {
	name, option := "", Option(nil)
	switch p.next() % 8 {
	case 0:
		f := math.Float64frombits(p.eight())
		name, option = "WithDriftFactor", WithDriftFactor(f)
	case 1:
		name, option = "WithOwner", WithOwner(p.text)
	case 2:
		name, option = "WithPrefix", WithPrefix(p.text)
	case 3:
		name, option = "WithLogger", WithLogger([]*slog.Logger{nil, slog.Default()}[p.next()%2])
	case 4:
		name, option = "WithTrace", WithTrace([]*Trace{nil, {}}[p.next()%2])
	default:
		return p.ofLock()
	}
	p.given = append(p.given, name)
	return option
}

// wantNames fails the test unless every line of an error names an option that was given.
func (p *program) wantNames(t *testing.T, err error) {
	t.Helper()
	for line := range strings.SplitSeq(err.Error(), "\n") {
		named := false
		for _, name := range p.given {
			named = named || strings.HasPrefix(line, "redlock: "+name+"(")
		}
		if !named {
			t.Fatalf("of %v it says %q", p.given, line)
		}
	}
}

func drifts(f float64) string {
	return string(binary.BigEndian.AppendUint64([]byte{0}, math.Float64bits(f)))
}

// Options are refused by their names, or what comes out of them keeps the documented
// ranges, and so does everything that is computed from it.
func FuzzOptions(f *testing.F) {
	const ofLock, ttlOf8s, ttlOf10ms, year, longest = "\x05", "\x00\x0b", "\x00\x07", "\x0f", "\x14"
	for option := range byte(7) { // those with an argument, next to a TTL of 8 s
		for i := range byte(len(edges)) {
			arguments := []byte{i}
			if option == 2 { // WithRetryDelay has two
				arguments = append(arguments, i)
			}
			f.Add(append([]byte(ofLock+ttlOf8s+ofLock), append([]byte{option}, arguments...)...), []byte(""), "me")
		}
	}
	for _, drift := range []float64{-1, 0, 0.79, 0.8, 0.9999, 1, math.NaN(), math.Inf(1)} {
		f.Add([]byte(drifts(drift)), []byte(ttlOf10ms), "me")
		f.Add([]byte(ofLock+"\x00"+year+drifts(drift)), []byte(""), "me")
	}
	f.Add([]byte(ofLock+"\x02\x08"+longest), []byte("\x06"+longest), "me")
	f.Add([]byte(ofLock+"\x05\x09"), []byte("\x00\x0a\x01\x08"), "me")
	f.Add([]byte("\x01\x02\x03\x00\x04\x00"), []byte("\x03\xff"), "a\nb")
	f.Fuzz(func(t *testing.T, ofNew, ofCall []byte, text string) {
		p := &program{rest: ofNew, text: text}
		var options []Option
		for len(p.rest) > 0 {
			options = append(options, p.ofLocker())
		}
		_, pools := fakenode.Pools(1)
		l, err := New(pools, options...)
		if err != nil {
			p.wantNames(t, err)
			return
		}
		defer l.Close(context.Background())
		c := &l.config
		if !isLabel(c.owner) || !(c.drift >= 0 && c.drift < 1) || c.logger == nil {
			t.Fatalf("%v: owner %q, drift %v, logger %v", p.given, c.owner, c.drift, c.logger)
		}
		c.wantRanges(t, c.drift)

		p.rest = ofCall
		var call []LockOption
		for len(p.rest) > 0 {
			call = append(call, p.ofLock())
		}
		before := fmt.Sprintf("%+v", c.settings)
		s, err := c.settings.with(call, c.drift)
		if after := fmt.Sprintf("%+v", c.settings); after != before {
			t.Fatalf("a call changed those of the Locker from\n%s to\n%s", before, after)
		}
		if err != nil {
			p.wantNames(t, err)
			return
		}
		s.wantRanges(t, c.drift)
	})
}

// rounding is by how much a float64 may be wrong about a year: it is what 2 ms are for.
const rounding = 10 * time.Nanosecond

func (s *settings) wantRanges(t *testing.T, drift float64) {
	t.Helper()
	validity := quorum.Validity(s.ttl, drift)
	for what, right := range map[string]bool{
		"TTL":             s.ttl >= minTTL && s.ttl <= maxTTL,
		"node timeout":    s.nodeTimeout > 0 && s.nodeTimeout < s.ttl,
		"retry delay":     s.retryMin > 0 && s.retryMin <= s.retryMax,
		"tries":           s.maxTries >= 0,
		"wait":            s.maxWait >= 0,
		"hold":            s.maxHold == 0 || s.maxHold >= s.ttl,
		"lease":           s.placeLease() >= 4*s.nodeTimeout,
		"validity":        validity > 0 && validity <= s.ttl-2*time.Millisecond+rounding,
		"life of a key":   quorum.Lifetime(s.ttl, drift) >= s.ttl+2*time.Millisecond-rounding,
		"pause":           s.pauses.Delay() >= s.retryMin && s.pauses.Delay() <= s.retryMax,
		"life of a flag":  s.pauses.FlagTTL() > 0 && s.pauses.FlagTTL() <= waiting.MaxFlagTTL && s.pauses.FlagTTL() >= min(s.retryMax, waiting.MaxFlagTTL),
		"pause for one":   s.pauses.BackOff(0, 0) >= 0,
		"pause for many":  s.pauses.BackOff(s.nodeTimeout, waiting.MaxBackOffs) >= 0,
		"nothing refused": s.bad == nil,
	} {
		if !right {
			t.Fatalf("%s out of range: drift %v, validity %v, keys live %v, %+v", what, drift, validity, quorum.Lifetime(s.ttl, drift), *s)
		}
	}
	for _, left := range []time.Duration{1, validity / 2, validity} { // of WithMaxHold
		if ttl := min(s.ttl, quorum.TTL(left, drift)); ttl <= 0 || quorum.Validity(ttl, drift) < left-rounding {
			t.Fatalf("to hold it for %v, it is extended by %v with a drift of %v", left, ttl, drift)
		}
	}
}
