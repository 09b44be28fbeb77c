package fanout

import (
	"testing"
	"time"
)

// The whole process may be stopped between an answer and the note of it.
func TestAnswerThatIsNotedLateDoesNotShortenTheTimeout(t *testing.T) {
	var p pace
	now := time.Now()
	p.note(time.Second, now)
	p.note(2*time.Second, now.Add(-time.Minute))
	if got := p.timeout(time.Millisecond, time.Hour); got < 2*time.Second || got > 4*time.Second {
		t.Errorf("a timeout of %v", got)
	}
}
