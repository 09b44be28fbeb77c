package node

import "github.com/quorumlock/quorumlock/internal/node/lua"

// What a node answers when it was asked for several keys.

// A Holding is one of several keys, and the value that holds it.
type Holding struct {
	Index  uint8 // of the key
	Holder string
}

// Others are the other keys that are taken, if one of several is. They are in NextWaiter, by which
// such an answer is no larger than others: index, length and value, one key after the other.
func (a Answer) Others() (others []Holding) {
	if a.Status != Taken {
		return nil
	}
	for packed := a.NextWaiter; packed != ""; {
		end := 3 + int(packed[1])<<8 + int(packed[2])
		others = append(others, Holding{packed[0], packed[3:end]})
		packed = packed[end:]
	}
	return others
}

// readAcquireAll reads why not all of several keys were taken.
func (r *Request) readAcquireAll(reply any) Answer {
	list, a, ok := r.readOneOfKeys(reply, lua.AcquireAll, lua.AcquireAllInTurn)
	if !ok {
		return r.unexpected(reply)
	}
	others, ok := r.others(list.Get("others"))
	switch {
	case !ok:
		return r.unexpected(reply)
	case a.Status == Taken && a.Holder == r.entry.value: // of all of them: as with one key
		return Answer{Status: Granted, Found: true, Last: a.Last}
	}
	a.NextWaiter = others
	return a
}

// readOneOfKeys reads a reply about one of several keys: of the script, or with AcquireInTurn of the
// other one.
func (r *Request) readOneOfKeys(reply any, script, inTurn lua.Script) (list lua.Reply, a Answer, ok bool) {
	read := holderOf
	if r.Verb == AcquireInTurn {
		script, read = inTurn, queueOf
	}
	if list, ok = script.Reply(reply); !ok {
		return list, a, false
	}
	a = read(list)
	a.Index, ok = r.index(list.Get("index"))
	return list, a, ok && a.Status != Failed
}

// index reads which of several keys a reply is about.
func (r *Request) index(reply any) (index uint8, ok bool) {
	n, ok := reply.(int64)
	return uint8(n - 1), ok && n >= 1 && n <= int64(1+len(r.entry.more()))
}

// others reads which further keys are taken, and by which values: see Others.
func (r *Request) others(reply any) (others string, ok bool) {
	list, ok := reply.([]any)
	if !ok || len(list)%2 != 0 || len(list) > 2*len(r.entry.more()) {
		return "", false
	}
	var packed []byte
	for ; len(list) > 0; list = list[2:] {
		index, ok1 := r.index(list[0])
		holder, ok2 := list[1].(string)
		switch {
		case !ok1 || !ok2:
			return "", false
		case len(holder) <= longestValue: // a longer one is of no lock: see rejectLong
			packed = append(packed, index, byte(len(holder)>>8), byte(len(holder)))
			packed = append(packed, holder...)
		}
	}
	return string(packed), true
}
