package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/quorumlock/quorumlock/cmd/redlock/internal/child"
)

// untilInputEnds holds the lock for the process at the other end of input: a script that does its
// own work under the lock. It learns that the lock was granted from a line, and that it was lost
// from our end.
func (h *hold) untilInputEnds(input io.Reader, output io.Writer) error {
	if h.lock.Context().Err() == nil {
		held := "held"
		if token := h.lock.Token(); token != 0 {
			held = fmt.Sprint("held ", token)
		}
		if _, err := fmt.Fprintln(output, held); err != nil {
			h.release()
			return endWith(exitSystem, fmt.Errorf("nobody reads that the lock %q is held: %w", h.lock.Name(), err))
		}
	}
	if h.verbose {
		h.say.Printf("the lock %q is held until the standard input ends", h.lock.Name())
	}
	ended := make(chan struct{})
	go func() { // ends with the input, or with this process
		defer close(ended)
		_, _ = io.Copy(io.Discard, input)
	}()
	sig, lost := h.await(ended)
	h.lost = lost
	h.release()
	switch {
	case lost:
		return endWith(exitLost, fmt.Errorf("the lock %q was lost: %s", h.lock.Name(), trimmed(context.Cause(h.lock.Context()))))
	case h.lost: // as the release has shown, and said
		return endWith(exitLost, nil)
	case sig != nil:
		return endWith(exitSignal+child.Number(sig), fmt.Errorf("%v while the lock %q was held", sig, h.lock.Name()))
	}
	return &ending{word: wordReleased}
}

// await returns when the input has ended, with a signal that asks to end, or with true if the
// lock is lost.
func (h *hold) await(ended <-chan struct{}) (sig os.Signal, lost bool) {
	for {
		select {
		case <-h.lock.Context().Done():
			return nil, true
		case <-ended:
			return nil, h.lock.Context().Err() != nil
		case sig := <-h.signals:
			switch {
			case child.Ends(sig):
				return sig, false
			case child.Suspends(sig):
				child.Suspend()
			}
		}
	}
}

var errNoCommand = errors.New("give the command after --, or leave -- out: then the lock is held until the standard input ends")
