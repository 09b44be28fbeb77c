package goredis

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestRoundUpIsNeverShorterAndAtMostAnEighthLonger(t *testing.T) {
	byBucket := make(map[int]time.Duration)
	check := func(d time.Duration) {
		t.Helper()
		got, bucket := roundUp(d)
		if want := max(d, shortest); got < want || got-want > want/8 {
			t.Errorf("roundUp(%v) is %v", d, got)
		}
		if bucket < 0 || bucket >= buckets {
			t.Fatalf("roundUp(%v) is in bucket %d of %d", d, bucket, buckets)
		}
		if same, ok := byBucket[bucket]; ok && same != got {
			t.Errorf("bucket %d is for %v and for %v", bucket, same, got)
		}
		byBucket[bucket] = got
	}
	for _, d := range []time.Duration{-time.Second, 0, 1, shortest, shortest + 1, time.Second, longest - 1, longest} {
		check(d)
	}
	for power := shortest; power < longest; power *= 2 {
		for d := power - 2; d <= power+2; d++ {
			check(d)
		}
	}
	for range 100_000 {
		check(time.Duration(rand.Int64N(int64(longest))))
		check(time.Duration(rand.Int64N(int64(time.Second))))
	}
}
