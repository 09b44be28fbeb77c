package lease

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestNothingIsHeldAfterClose(t *testing.T) {
	inBubble(t, func(f *fixture) {
		early := f.hold("early")
		ended, _ := f.Close()
		if len(ended) != 1 || ended[0] != Lock(early) {
			t.Errorf("ended %v", ended)
		}
		late := f.ask("late", terms)
		if f.Hold(&late.Lease, true) || late.Cause() != nil || len(late.noted()) > 0 {
			t.Errorf("a lease is held after Close; %v, events %q", late.Cause(), late.noted())
		}
		if ended, renewed := f.Close(); len(ended) > 0 || renewed != nil {
			t.Errorf("a second Close ended %v", ended)
		}
	})
}

func TestCloseEndsWhatExpiredUnnoticedAsExpired(t *testing.T) {
	inBubble(t, func(f *fixture) {
		k := f.holdOn(terms, "job", false)
		time.Sleep(validity)
		if ended, _ := f.Close(); len(ended) > 0 || k.Cause() != ErrExpired {
			t.Errorf("ended %v with %v", ended, k.Cause())
		}
	})
}

func TestLeasesThatAreNeverReleasedAreForgotten(t *testing.T) {
	inBubble(t, func(f *fixture) {
		for range 5_000 {
			f.holdOn(terms, "job", false)
			time.Sleep(10 * time.Millisecond)
			if n := f.Held(); n > 3000 { // about 1000 are valid at a time
				t.Fatalf("%d leases are remembered", n)
			}
		}
	})
}

func TestContextsEndWithinAQuarterOfASecondAfterASuspend(t *testing.T) {
	for _, c := range []struct{ suspended, want time.Duration }{ // after Until
		{time.Hour, suspendPeriod},
		{5 * time.Second, 0},
	} {
		inBubble(t, func(f *fixture) {
			k := f.holdOn(terms, "job", false)
			done := k.Context().Done()
			time.Sleep(time.Second)
			f.clock.Step(c.suspended)
			began := time.Now()
			<-done // nobody asks for Err
			took := time.Since(began)
			if left := validity - time.Second - c.suspended; took < left || took > max(left, 0)+c.want {
				t.Errorf("after a suspend of %v it ends in %v, and was valid for %v", c.suspended, took, left)
			}
		})
	}
}

func TestRenewalsComeInTimeAfterASuspend(t *testing.T) {
	inBubble(t, func(f *fixture) {
		all := f.holdMany(100)
		f.clock.Step(8 * time.Second) // 1.9 s are left
		time.Sleep(5 * time.Second)
		for _, k := range all {
			if k.Context().Err() != nil || k.extensions() == 0 {
				t.Fatalf("lease %s: %v after %d extensions", k.name, context.Cause(k.Context()), k.extensions())
			}
		}
	})
}

func TestSuspendIsWatchedForOnlyWhileContextsAreToEnd(t *testing.T) {
	inBubble(t, func(f *fixture) {
		for range 3 {
			k := f.holdOn(terms, "job", false)
			k.EndOnTime()
			time.Sleep(time.Second)
			f.release(k)
			time.Sleep(suspendPeriod)
			synctest.Wait()
			f.mu.Lock()
			if f.suspend.running || f.suspend.leases != 0 {
				t.Errorf("running %v for %d leases", f.suspend.running, f.suspend.leases)
			}
			f.mu.Unlock()
		}
	})
}

func TestExtensionsComeOneAfterTheOther(t *testing.T) {
	inBubble(t, func(f *fixture) {
		k := f.holdOn(terms, "job", false)
		k.answering = time.Second
		done := make(chan error, 3)
		for range 3 {
			go func() { done <- k.Renew(context.Background()) }()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		for i, at := range k.sent[1:] {
			if at.Sub(k.sent[i]) != time.Second {
				t.Errorf("sent at %v", k.sent)
			}
		}
		go func() { done <- k.Renew(context.Background()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if k.BeginExtension(ctx) {
			t.Error("a second extension begins")
		}
		<-done
	})
}

func TestDeadlineIsInForceWhileAnExtensionIsUnderWay(t *testing.T) {
	inBubble(t, func(f *fixture) {
		k := f.holdOn(terms, "job", false)
		k.answering = time.Hour
		until, ctx := k.Until(), k.Context()
		time.Sleep(time.Second)
		go func() {
			if err := k.Renew(context.Background()); err != ErrExpired {
				t.Errorf("extended: %v", err)
			}
		}()
		<-ctx.Done()
		if late := time.Since(until); late != 0 || k.Remaining(f.clock.Read()) != 0 {
			t.Errorf("it ends %v late", late)
		}
		time.Sleep(time.Hour)
		if got := fmt.Sprint(k.Cause()); got != "lock expired" {
			t.Errorf("cause %q", got)
		}
	})
}
