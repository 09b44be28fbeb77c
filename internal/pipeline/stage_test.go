package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

func TestACallThatEndsWhileAConnectionIsOpenedSaysWhatThatIsBusyWithAndHowItFailedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDown := errors.New("down")
		dials := 0
		p := New(func(ctx context.Context) (Conn, error) {
			if dials++; dials == 2 {
				return nil, errDown
			}
			Stage(ctx, "tying its shoes")
			<-ctx.Done()
			return nil, ctx.Err()
		})
		defer p.Close()
		call := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			_, err := p.Do(ctx, "call")
			if !errors.Is(err, pool.ErrNotSent) {
				t.Error(err)
			}
			return err
		}
		if err := call(); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "tying its shoes") {
			t.Errorf("in the first dial: %v", err)
		}
		time.Sleep(dialTimeout + maxPause)
		if err := call(); !errors.Is(err, errDown) {
			t.Errorf("in the second dial: %v", err)
		}
		time.Sleep(maxPause)
		if err := call(); !errors.Is(err, errDown) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "tying its shoes") {
			t.Errorf("in the third dial: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(timeout, cancel)
		if _, err := p.Do(ctx, "call"); !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestADialMayTakeAsLongAsItIsSaidTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = time.Minute
		var took time.Duration
		p := New(func(ctx context.Context) (Conn, error) {
			begun := time.Now()
			<-ctx.Done()
			took = time.Since(begun)
			return nil, ctx.Err()
		})
		defer p.Close()
		p.DialTimeout = long
		ctx, cancel := context.WithTimeout(context.Background(), 2*long)
		defer cancel()
		if _, err := p.Do(ctx, "call"); !errors.Is(err, pool.ErrNotSent) || took != long {
			t.Errorf("%v after %v", err, took)
		}
	})
}
