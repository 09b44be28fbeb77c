package node

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

const (
	ours, theirs = "our value", "their value"
	former       = "former value"
	centuryInMs  = 100 * 365 * 24 * 60 * 60 * 1000
)

// shape makes a reply of any shape out of bytes, also of those that no pool returns.
// Every byte is an instruction, with its operand behind it.
func shape(b *[]byte, depth int) any {
	next := func() byte {
		if len(*b) == 0 {
			return 0
		}
		first := (*b)[0]
		*b = (*b)[1:]
		return first
	}
	switch op := next(); op % 11 {
	case 0:
		return nil
	case 1:
		return ours
	case 2:
		return theirs
	case 3:
		return strings.Repeat("x", int(next()%3)) // "" too
	case 4:
		return int64(int8(next())) // 1, 0, and the -1 and -2 of PTTL
	case 5:
		var eight [8]byte
		for i := range eight {
			eight[i] = next()
		}
		return int64(binary.BigEndian.Uint64(eight[:]))
	case 6:
		return pool.Error("ERR no")
	case 7:
		return []any{1, 1.0, true, "1", []byte(ours), errors.New(ours), []string{ours}, map[string]any{ours: int64(1)}}[next()%8]
	case 9: // what a published value begins with, or nearly
		begins := lua.Header(int64(next()), int64(next()), int64(next()), int64(next()))
		switch next() % 4 {
		case 1:
			begins = begins[1:]
		case 2:
			begins = begins[:20] + "-" + begins[21:]
		case 3:
			begins = "9999999999999999" + begins[16:] // more than Lua counts exactly
		}
		return begins
	case 10:
		return former
	default:
		if depth == 4 {
			return []any{}
		}
		all := make([]any, next()%9)
		for i := range all {
			all[i] = shape(b, depth+1)
		}
		return all
	}
}

// says is what the comments of the scripts, and Redis about SET with NX or IFEQ and GET,
// make of a reply: Failed where they do not have it.
func says(verb Verb, reply any) Status {
	_, isText := reply.(string)
	number, isNumber := reply.(int64)
	list, _ := reply.([]any)
	kinds := ""
	for _, element := range list {
		switch element.(type) {
		case string:
			kinds += "s"
		case int64:
			kinds += "i"
		default:
			kinds += "?"
		}
	}
	switch {
	case (verb == Acquire || verb == AcquireOrFlag) && (reply == nil || reply == ours),
		verb == AcquireOrFlag && kinds == "si" && list[0] == ours,
		verb == AcquireInTurn && kinds == "siii" && list[0] == ours && list[1] != int64(-2),
		verb == AcquireInTurn && isNumber,
		verb == Swap && (isNumber && number == 1 || reply == ours || reply == former):
		return Granted
	case (verb == Acquire || verb == AcquireOrFlag) && isText, verb == AcquireOrFlag && kinds == "si",
		verb == AcquireInTurn && kinds == "siii" && list[1] != int64(-2),
		verb == Extend && isText && reply != ours,
		verb == Swap && isText,
		verb == Inspect && kinds == "sii" && list[1] != int64(-2):
		return Taken
	case verb == AcquireInTurn && kinds == "siii":
		return Queued
	case verb == Extend && (isNumber && number == 1 || reply == ours):
		return Extended
	case verb == Release && (isText || isNumber && number == 1),
		verb == Expire && (reply == ours || isNumber && number == 1):
		return Deleted
	case (verb == Extend || verb == Release || verb == Expire || verb == Swap) && isNumber,
		(verb == Extend || verb == Expire || verb == Swap) && reply == nil, verb == Expire && isText,
		verb == Inspect && len(kinds) == 3 && kinds[2] == 'i' && list[1] == int64(-2):
		return Absent
	}
	return Failed
}

// No reply reads as more than it says: not as a grant, an extension or a deletion if
// it is none, and not as a time to live of the other sign.
func FuzzReplyOfEveryVerb(f *testing.F) {
	for _, b := range []string{
		"", "\x01", "\x02", "\x03\x00", "\x04\x01", "\x04\x02", "\x04\x00", "\x04\xfe", "\x06", "\x07\x00", "\x07\x02", "\x07\x03",
		"\x08\x02\x01\x04\x05", "\x08\x02\x02\x04\xff", "\x08\x02\x02\x00", "\x08\x02\x00\x04\x05", // of AcquireOrFlag
		"\x08\x04\x02\x04\x05\x04\x09\x04\x03", "\x08\x04\x03\x00\x04\xfe\x04\x09\x04\x03", "\x08\x04\x01\x04\x05\x04\x09\x06", // of Turn
		"\x08\x04\x01\x04\x05\x04\x09\x04\x00", "\x08\x04\x01\x04\xfe\x04\x09\x04\x00", // that it had been granted before
		"\x08\x03\x02\x04\x05\x04\x00", "\x08\x03\x03\x00\x04\xfe\x04\x02", "\x08\x03\x00\x04\xfe\x04\x02", "\x08\x03\x02\x08\x00\x04\x02", // of Inspect
		"\x08\x02\x02\x05\x00\x00\x08\x63\x7b\xd0\x5a\xf7", // a time to live of 292 years
		"\x08\x02\x02\x05\x7f\xff\xff\xff\xff\xff\xff\xff", // and longer
		"\x08\x02\x02\x05\x00\x00\x10\xc6\xf7\xa0\xb5\xee", // which is 448 us after an overflow
		"\x08\x02\x02\x05\x80\x00\x00\x00\x00\x00\x00\x00",
		"\x08\x03\x08\x03\x08\x03\x08\x03\x00", "\x0a",
	} {
		for verb := Acquire; verb <= ping; verb++ {
			f.Add(byte(verb), []byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, v byte, b []byte) {
		verb := Verb(v) % (ping + 1)
		if verb == Read || verb == Publish {
			return // FuzzReplyAboutAPublishedValue
		}
		reply := shape(&b, 0)
		r := NewRequest(verb, NewEntry("key", ours).Replacing(former), ttl, WaiterFlag{ID: "me", TTL: time.Second})
		a := r.answer(reply, nil)
		if want := says(verb, reply); a.Status != want {
			t.Fatalf("%v, %#v: status %d, want %d (%v)", verb, reply, a.Status, want, a.Err)
		}
		if failed := a.Status == Failed && verb != ping; failed != (a.Err != nil) {
			t.Fatalf("%v, %#v: status %d and error %v", verb, reply, a.Status, a.Err)
		}
		if a.Err != nil && (strings.Contains(a.Err.Error(), ours) || strings.Contains(a.Err.Error(), theirs) || strings.Contains(a.Err.Error(), former)) {
			t.Fatalf("%v, %#v: the error shows a value: %v", verb, reply, a.Err)
		}
		if list, _ := reply.([]any); a.Status == Taken && len(list) > 1 {
			ms := list[1].(int64)
			right := a.TTL == time.Duration(max(ms, 1))*time.Millisecond
			if ms < 0 || ms > centuryInMs {
				right = a.TTL < 0 // for ever
			}
			if a.Holder != list[0] || !right {
				t.Fatalf("%v, %#v: held by %q for %v", verb, reply, a.Holder, a.TTL)
			}
		}
		if a := r.answer(reply, pool.Error("ERR no")); a.Status != Failed || a.Err != error(pool.Error("ERR no")) {
			t.Fatalf("%v, %#v with an error: %+v", verb, reply, a)
		}
	})
}

// saysFenced is what fence.lua makes of a reply.
func saysFenced(verb Verb, reply any) Status {
	counts := func(v any) bool {
		micros, ok := v.(int64)
		return ok && micros > 0 && micros < 1<<53
	}
	if verb == Acquire {
		verb = AcquireOrFlag
	}
	list, _ := reply.([]any)
	n := len(list)
	switch {
	case verb == AcquireOrFlag && counts(reply):
		return Granted
	case verb == AcquireInTurn && n == 2 && counts(list[1]):
		return says(verb, list[0])
	case n != map[Verb]int{AcquireOrFlag: 4, AcquireInTurn: 6}[verb] || !counts(list[n-1]):
		return Failed
	}
	digits, ok := list[n-2].(string)
	if largest, err := strconv.ParseUint(digits, 10, 53); !ok || err != nil || strings.HasPrefix(digits, "+") || largest >= 1<<53 {
		return Failed
	}
	status := says(verb, list[:n-2])
	switch {
	case status != Failed && list[1] == int64(-3): // whatever value comes with it
		return TokenTooSmall
	case status != Failed && list[1] == int64(-4):
		return Failed
	}
	return status
}

// No reply to an acquisition with a fencing token reads as a grant if it is none.
func FuzzReplyWithAToken(f *testing.F) {
	const micros = "\x05\x00\x06\x60\x00\x00\x00\x00\x01"
	for _, b := range []string{
		"", "\x01", "\x04\x01", "\x04\x00", "\x04\xff", micros, "\x05\x00\x20\x00\x00\x00\x00\x00\x00", "\x05\x00\x1f\xff\xff\xff\xff\xff\xff",
		"\x08\x04\x02\x04\x05\x04\x11" + micros, "\x08\x04\x01\x04\x05\x04\x11" + micros, "\x08\x04\x03\x00\x04\xfd\x04\x11" + micros,
		"\x08\x04\x03\x00\x04\xfc\x04\x11" + micros, "\x08\x04\x03\x00\x04\xfd\x03\x01" + micros, "\x08\x02\x02\x04\x05", "\x08\x02\x04\x11" + micros,
		"\x08\x02\x04\x05" + micros, "\x08\x02\x04\x05\x04\xff", "\x08\x01" + micros, "\x08\x02\x08\x02\x02\x04\x05" + micros,
		"\x08\x04\x02\x04\x05\x04\xff" + micros, "\x08\x04\x02\x04\x05\x05\x00\x20\x00\x00\x00\x00\x00\x00" + micros, // no counter
		"\x08\x06\x02\x04\x05\x04\x09\x04\x03\x04\x11" + micros, "\x08\x06\x03\x00\x04\xfd\x04\x09\x04\x03\x04\x11" + micros,
		"\x08\x06\x03\x00\x04\xfe\x04\x09\x04\x03\x04\x11" + micros, "\x08\x06\x03\x00\x04\xfc\x04\x09\x04\x03\x04\x11" + micros,
	} {
		for _, verb := range []Verb{Acquire, AcquireOrFlag, AcquireInTurn} {
			f.Add(byte(verb), []byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, v byte, b []byte) {
		verb := Verb(v) % (AcquireInTurn + 1)
		reply := shape(&b, 0)
		if list, ok := reply.([]any); ok && len(list) > 2 { // the counter is the likeliest to be wrong
			if digits, ok := list[len(list)-2].(int64); ok {
				list[len(list)-2] = strconv.FormatInt(digits, 10)
			}
		}
		r := NewRequest(verb, NewEntry("key", ours).Fenced(new(Fence), 7, time.Hour), ttl, WaiterFlag{ID: "me", TTL: time.Second})
		a := r.answer(reply, nil)
		if want := saysFenced(verb, reply); a.Status != want {
			t.Fatalf("%v, %#v: status %d, want %d (%v)", verb, reply, a.Status, want, a.Err)
		}
		if failed := a.Status == Failed; failed != (a.Err != nil) {
			t.Fatalf("%v, %#v: status %d and error %v", verb, reply, a.Status, a.Err)
		}
		if a.LargestToken < 0 || a.LargestToken > maxToken || a.Micros < 0 || a.Micros == lua.NoNews || a.Micros > maxToken {
			t.Fatalf("%v, %#v: %+v", verb, reply, a)
		}
	})
}
