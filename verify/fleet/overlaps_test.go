package fleet_test

import (
	"sync"
	"testing"
	"time"
)

// A hold is the time in which a client knew that it held the lock: from the grant until it began to
// unlock, or until its validity was over. In a process that was not scheduled nobody knew anything.
type hold struct {
	client   string
	reader   bool
	from, to time.Time
}

func (h hold) String() string {
	kind := "alone"
	if h.reader {
		kind = "to read"
	}
	return h.client + ", " + kind
}

// A record has the holds of a test.
type record struct {
	mu    sync.Mutex // protects holds
	holds []hold
}

func (r *record) add(h hold) {
	if !h.from.Before(h.to) {
		return // it was over when the client learned of it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holds = append(r.holds, h)
}

// overlaps returns the pairs of holds that were at the same time: of two readers, and of others.
func (r *record) overlaps() (readers, others [][2]hold) {
	for i, a := range r.holds {
		for _, b := range r.holds[:i] {
			switch {
			case !a.from.Before(b.to) || !b.from.Before(a.to):
			case a.reader && b.reader:
				readers = append(readers, [2]hold{a, b})
			default:
				others = append(others, [2]hold{a, b})
			}
		}
	}
	return readers, others
}

// fewest is how many holds the client has that has the fewest.
func (r *record) fewest(workers map[string]worker) int {
	least := len(r.holds)
	for client := range workers {
		least = min(least, r.count(client))
	}
	return least
}

func (r *record) count(client string) (n int) {
	for _, h := range r.holds {
		if h.client == client {
			n++
		}
	}
	return n
}

// lasted is for how long two holds overlap.
func lasted(pair [2]hold) time.Duration {
	from := pair[0].from
	if from.Before(pair[1].from) {
		from = pair[1].from
	}
	return earlier(pair[0].to, pair[1].to).Sub(from)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func TestHoldsThatOverlapAreFoundUnlessBothAreReaders(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	r := record{holds: []hold{
		{"a", true, at(0), at(10)}, {"b", true, at(5), at(20)}, {"c", false, at(20), at(30)},
	}}
	if readers, others := r.overlaps(); len(readers) != 1 || len(others) != 0 {
		t.Errorf("%v, %v", readers, others)
	}
	for _, h := range []hold{
		{"d", true, at(29), at(40)}, {"d", false, at(0), at(21)}, {"d", true, at(22), at(23)}, {"d", false, at(15), at(18)},
	} {
		r := record{holds: append([]hold{h}, r.holds...)}
		if _, others := r.overlaps(); len(others) == 0 {
			t.Errorf("%v is not found", h)
		}
	}
}
