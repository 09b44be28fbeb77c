package pipeline

import "context"

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
