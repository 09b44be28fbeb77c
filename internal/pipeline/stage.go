package pipeline

import (
	"context"

	"fmt"
)

// dialedFor is the key under which the context of a dial has its pipe.
type dialedFor struct{}

// Stage notes what a dial is busy with. ctx is the one that it was given. Calls whose
// deadline passes meanwhile are told.
func Stage(ctx context.Context, what string) {
	if p, ok := ctx.Value(dialedFor{}).(*Pipe); ok {
		p.mu.Lock()
		p.stage = what
		p.mu.Unlock()
	}
}

// notReady says why a call was not sent by its deadline: what opening a connection is
// busy with, and why it failed the last time.
func (p *Pipe) notReady() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := errNotReady
	if p.dialing && p.stage != "" {
		err = fmt.Errorf("%w: one is being opened (%s)", err, p.stage)
	}
	if p.refusal != nil {
		err = fmt.Errorf("%w; the last attempt failed: %w", err, p.refusal)
	}
	return err
}
