package main

import "time"

// Luck is a small source of chance (splitmix64). What happens to one message follows
// from the seed and from which message it is, not from what happened to others before:
// where an event is left out of a schedule, the rest stays as it was.
type luck uint64

func newLuck(seed uint64, about ...int) luck {
	l := luck(seed)
	for _, n := range about {
		l = luck(l.next() ^ uint64(n)*0x9e3779b97f4a7c15)
	}
	return l
}

func (l *luck) next() uint64 {
	*l += 0x9e3779b97f4a7c15
	z := uint64(*l)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below is a number in [0, n).
func (l *luck) below(n int64) int64 { return int64(l.next() % uint64(n)) }

// between is a time in [from, to), to the nanosecond: no two events share an instant.
func (l *luck) between(from, to time.Duration) time.Duration {
	return from + time.Duration(l.below(int64(to-from)))
}

// in reports what happens once in n times.
func (l *luck) in(n int64) bool { return l.below(n) == 0 }

// apart is a time between two things that come one after the other.
func (l luck) apart() time.Duration { return l.between(1, time.Microsecond) }
