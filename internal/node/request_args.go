package node

import "github.com/quorumlock/quorumlock/internal/node/lua"

// scriptArgs appends the number of keys, the keys and the arguments of a script, in the order
// of its spec in package lua. TestArgumentsHaveTheirNamesOfTheSpec compares them.
func (r *Request) scriptArgs(to []any, script lua.Script, mark *Mark) []any {
	count := len(to)
	to = r.keys(append(to, nil), mark)
	to[count] = int64(len(to) - count - 1)
	switch script {
	case lua.Wait:
		return r.waitArgs(to, mark)
	case lua.FencedWait:
		return r.fencedWaitArgs(to, mark)
	case lua.Turn:
		return r.turnArgs(to, mark)
	case lua.FencedTurn:
		return r.fencedTurnArgs(to, mark)
	case lua.Release, lua.Short:
		return r.releaseArgs(to, mark)
	case lua.Inspect:
		return append(to, millis(mark.TTL))
	case lua.Swap:
		return append(to, r.lease.value, r.ttl, *r.lease.former)
	}
	return append(to, r.lease.value, r.ttl)
}

// keys appends every key that the script touches. The last ones are left out where the
// request does not need them.
func (r *Request) keys(to []any, mark *Mark) []any {
	side := func(what string) any { return SideKey(r.lease.Key(), what) }
	to = append(to, r.lease.key)
	if r.Verb.Takes() && r.lease.scripts.guarded {
		to = append(to, markerKey, quarantineKey)
	}
	if r.fenced() {
		to = append(to, r.lease.fence.counter)
	}
	inLine := false
	switch r.Verb {
	case Wait:
		if mark.TTL > 0 {
			to = append(to, side("wait"))
		}
	case Release:
		if mark.Self != nil {
			to = append(to, side("wait"))
			inLine = mark.Line.Lease > 0 || mark.Line.Ticket > 0
		}
	case Turn, Inspect:
		to, inLine = append(to, side("wait")), true
	}
	if inLine {
		to = append(to, side("queue"), side("lease"))
	}
	return to
}

func (r *Request) waitArgs(to []any, mark *Mark) []any {
	to = append(to, r.lease.value, r.ttl)
	if mark.TTL > 0 {
		to = append(to, mark.Self, millis(mark.TTL))
	}
	return to
}

func (r *Request) fencedWaitArgs(to []any, mark *Mark) []any {
	fence := r.lease.fence
	to = append(to, r.lease.value, r.ttl, fence.number, r.life)
	switch {
	case mark.TTL > 0:
		to = append(to, mark.Self, millis(mark.TTL))
	case fence.again:
		to = append(to, "", int64(0)) // the mark, which has its place before what follows
	}
	return r.again(to)
}

func (r *Request) turnArgs(to []any, mark *Mark) []any {
	return r.lineArgs(append(to, r.lease.value, r.ttl), mark)
}

func (r *Request) fencedTurnArgs(to []any, mark *Mark) []any {
	return r.again(r.lineArgs(append(to, r.lease.value, r.ttl, r.lease.fence.number, r.life), mark))
}

// lineArgs appends those of turn.lua that are about the line.
func (r *Request) lineArgs(to []any, mark *Mark) []any {
	line := &mark.Line
	return append(to, mark.Self, millis(mark.TTL), line.Ticket, line.Next, line.Last, millis(line.Lease), line.Count)
}

// again appends the argument that is given where a lock that is held was lost.
func (r *Request) again(to []any) []any {
	if r.lease.fence.again {
		to = append(to, "retake")
	}
	return to
}

func (r *Request) releaseArgs(to []any, mark *Mark) []any {
	line := &mark.Line
	to = append(to, r.lease.value)
	if mark.Self == nil {
		return to
	}
	to = append(to, mark.Self)
	switch {
	case line.Back:
		return append(to, line.Ticket, "back")
	case line.Ticket > 0:
		return append(to, line.Ticket)
	}
	return to
}
