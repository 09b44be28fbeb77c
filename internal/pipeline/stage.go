package pipeline

import "context"

// dialedFor is the key of the pipe in the context of a dial.
type dialedFor struct{}

// Stage records what a dial is doing. ctx is the context of the dial. The errors of calls
// whose deadline passes meanwhile contain it.
func Stage(ctx context.Context, what string) {
	if p, ok := ctx.Value(dialedFor{}).(*Pipe); ok {
		p.mu.Lock()
		p.stage = what
		p.mu.Unlock()
	}
}
