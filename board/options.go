package board

import (
	"errors"
	"fmt"
	"time"
)

// An Option configures a [Board], or one call of [Board.Publish] or [Board.PublishAs]. An option
// of a call replaces that of the Board.
type Option func(*settings) error

type settings struct {
	retention time.Duration
}

const (
	minRetention = 10 * time.Millisecond
	maxRetention = 10 * 365 * 24 * time.Hour
)

// WithRetention sets for how long a value is kept, 10 ms to ten years, or [Forever]. The default
// is 24 h. When the time has passed the path has expired, which [Board.Latest] and watchers say,
// for a day, or as long again if that is longer. The masters count the time, each from when it
// has stored the value.
func WithRetention(d time.Duration) Option {
	return func(s *settings) error {
		if d != Forever && (d < minRetention || d > maxRetention) {
			return fmt.Errorf("board: WithRetention(%v): must be at least %v and at most %v, or Forever", d, minRetention, maxRetention)
		}
		s.retention = d
		return nil
	}
}

func (s settings) with(opts []Option) (settings, error) {
	var wrong []error
	for _, o := range opts {
		if o == nil {
			wrong = append(wrong, errors.New("board: an Option is nil"))
		} else if err := o(&s); err != nil {
			wrong = append(wrong, err)
		}
	}
	return s, errors.Join(wrong...)
}

// kept is the retention, 0 for ever.
func (s settings) kept() time.Duration {
	if s.retention == Forever {
		return 0
	}
	return s.retention
}
