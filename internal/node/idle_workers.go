package node

import "time"

// maxIdle bounds the workers that wait for a call. More of them are of no use to a busy node,
// where workers go from call to call.
const maxIdle = 16

// idlePeriod is how long a node must have had no calls for its idle workers to end: at least so
// long, and at most twice.
const idlePeriod = time.Second

// A worker is the channel to a goroutine that waits for a call. It has room for one call.
type worker chan *Call

// idleWorkers keeps goroutines that have nothing to do for the next call. A client's call chain
// is deep. A goroutine that made calls before has the stack for it; a fresh one grows its stack
// anew for every command, which took a fifth of the processor time of a lock. Idle workers end
// with the node, or when it had no calls for a while. So a Locker that is dropped without Close
// keeps none.
type idleWorkers struct {
	workers []worker // the last one added is taken first
	used    bool     // since the last tick
	closed  bool
	timer   *time.Timer
	armed   bool
	fire    func()
}

func (p *idleWorkers) init(fire func()) { p.fire = fire }

// take returns an idle worker, or nil.
func (p *idleWorkers) take() worker {
	p.used = true
	last := len(p.workers) - 1
	if last < 0 {
		return nil
	}
	w := p.workers[last]
	p.workers = p.workers[:last]
	return w
}

// add makes the calling goroutine idle: it then waits for a call on the worker that add
// returns. It returns nil if there are enough idle workers: the goroutine ends.
func (p *idleWorkers) add(w worker) worker {
	if p.closed || len(p.workers) == maxIdle {
		return nil
	}
	if w == nil {
		w = make(worker, 1)
	}
	p.workers = append(p.workers, w)
	if !p.armed {
		p.armed = true
		if p.timer == nil {
			p.timer = time.AfterFunc(idlePeriod, p.fire)
		} else {
			p.timer.Reset(idlePeriod)
		}
	}
	return w
}

// tick ends the idle workers if there was no call since the last tick.
func (p *idleWorkers) tick() {
	if p.used && !p.closed {
		p.used = false
		p.timer.Reset(idlePeriod)
		return
	}
	p.armed = false
	p.endAll()
}

func (p *idleWorkers) endAll() {
	for _, w := range p.workers {
		close(w)
	}
	p.workers = nil
}

func (p *idleWorkers) close() {
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.endAll()
}
