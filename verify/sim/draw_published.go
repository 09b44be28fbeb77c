package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/board"
)

// Names in worlds with an election or a board.
const (
	electionName = "leader"
	boardPath    = "news"
	penName      = "pen" // of the lock whose holder publishes in one trip
)

// valuesIn4 says which seeds have such worlds: those with this rest when divided by four.
const valuesIn4 = 3

// published draws a world with an election, with a board, or with both. Nodes forget nothing
// there: what was published would be lost.
func (d drawing) published() *schedule {
	d.world()
	d.Guard, d.New = false, false
	d.Fair, d.Fencing = true, true
	d.Elects = !d.in(3)
	d.Boards = !d.Elects || d.in(3)
	d.Names = nil
	call := 0
	some := func(n int, draw func(call int)) {
		for range n {
			draw(call)
			call++
		}
	}
	if d.Elects {
		d.Names = append(d.Names, electionName)
		some(2+d.random.IntN(4), func(call int) { d.holder(call, electionName, pick(d, campaign, campaign, campaign, tryElect)) })
		some(1+d.random.IntN(3), func(call int) { d.series(call, electionName, leaderCall) })
		some(d.random.IntN(3), func(call int) { d.watcher(call, electionName, observe) })
	}
	if d.Boards {
		some(1+d.random.IntN(4), func(call int) { d.series(call, boardPath, publish) })
		if d.in(2) {
			d.Names = append(d.Names, penName)
			some(1+d.random.IntN(3), func(call int) { d.holder(call, penName, holderCall) })
		}
		some(1+d.random.IntN(3), func(call int) { d.series(call, boardPath, latestCall) })
		some(d.random.IntN(4), func(call int) { d.watcher(call, boardPath, watchCall) })
	}
	for range 1 + d.random.IntN(6) {
		d.fault()
	}
	for range d.random.IntN(3) {
		d.outdoors()
	}
	slices.SortFunc(d.Events, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	return d.schedule
}

// holder draws a call that takes a lock, and then publishes as its holder.
func (d drawing) holder(number int, name string, k kind) {
	e := event{
		At: d.when() / 2, Kind: k, Call: number, Client: d.random.IntN(len(d.Clients)), Name: name, Fair: true,
		KeepAlive: k != holderCall || d.in(2), Forget: d.in(5), Times: d.random.IntN(5), Retention: board.Forever,
		For: d.between(0, pick(d, d.TTL/4, d.TTL, 3*d.TTL)+1),
	}
	if d.in(6) {
		e.Patience = d.between(time.Microsecond, 2*d.TTL)
	}
	if d.in(4) {
		e.Pause = d.between(time.Microsecond, 2*d.TTL)
	}
	d.Events = append(d.Events, e)
	if d.in(8) {
		d.Events = append(d.Events, event{At: e.At + d.between(0, d.TTL), Kind: pick(d, cancelCall, unlockCall), Client: e.Client, Call: number})
	}
}

// series draws a process that publishes or reads a few times.
func (d drawing) series(number int, name string, k kind) {
	e := event{
		At: d.when(), Kind: k, Call: number, Client: d.random.IntN(len(d.Clients)), Name: name,
		Times: 1 + d.random.IntN(6), For: d.between(time.Microsecond, pick(d, d.TTL/10, d.TTL/4, d.TTL, 3*d.TTL)),
		Retention: pick(d, board.Forever, board.Forever, 24*hour, max(d.TTL/4, 20*time.Millisecond)),
	}
	if d.in(8) {
		e.Patience = d.between(time.Microsecond, 2*d.NodeTimeout)
	}
	if k == publish && d.in(3) {
		e.Pause = d.between(time.Microsecond, d.TTL)
	}
	d.Events = append(d.Events, e)
}

// watcher draws one that leaves, or one that stays until all is over.
func (d drawing) watcher(number int, name string, k kind) {
	e := event{At: d.when(), Kind: k, Call: number, Client: d.random.IntN(len(d.Clients)), Name: name}
	if d.in(3) {
		e.For = d.between(time.Microsecond, 2*d.TTL)
	}
	d.Events = append(d.Events, e)
}
