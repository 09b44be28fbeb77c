package node

import (
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

var publishedRequests = map[string]*Request{
	"read":         NewRead(ValueKey("path")),
	"read led":     NewReadLed("path", time.Second),
	"publish":      NewPublish(ValueKey("path"), nil, Publication{Version: Version{1, 2, 3}, Text: "text", Retention: time.Hour, Kept: 2 * time.Hour}),
	"publish held": NewPublish(ValueKey("path"), &Entry{key: "job", value: "VALUE"}, Publication{Version: Version{1, 2, 3}, Text: "text"}),
}

// publishedScripts have a test of their own.
var publishedScripts = []lua.Script{lua.Read, lua.ReadLed, lua.Publish, lua.PublishHeld}

func TestAPublishedValueIsSentByTheNamesOfTheSpec(t *testing.T) {
	for name, r := range publishedRequests {
		command := r.command(eval)
		known, ok := lua.Find(command[1].(string))
		if !ok || known.Script.String() != name {
			t.Errorf("%s is found to be %v", name, known.Script)
			continue
		}
		n := command[2].(int64)
		c := known.Call(command[3:3+n], command[3+n:])
		if want := map[bool]string{false: "{path}:value", true: "{path}:leader"}[name == "read led"]; c.Key("value") != want {
			t.Errorf("%s: the value is under %q", name, c.Key("value"))
		}
		if len(c.Args()) != len(known.Script.Args()) {
			t.Errorf("%s has %d arguments, its spec %d", name, len(c.Args()), len(known.Script.Args()))
		}
		switch name {
		case "read led":
			if c.Key("lock") != "path" || c.Key("wait") != "{path}:wait" || c.Arg("flagTTL") != int64(1000) {
				t.Error(c.Keys(), c.Args())
			}
		case "publish held":
			if c.Key("lock") != "job" || c.Arg("value") != "VALUE" || c.Arg("record") != lua.Header(1, 2, 3, 0)+"text" || c.Arg("kept") != int64(0) {
				t.Error(c.Keys(), c.Args())
			}
		case "publish":
			if c.Arg("record") != lua.Header(1, 2, 3, 3_600_000)+"text" || c.Arg("kept") != int64(7_200_000) || c.Arg("former") != int64(0) {
				t.Error(c.Args()...)
			}
		}
	}
}

// No reply reads as a value that is not in it, or as a write that was not done.
func FuzzReplyAboutAPublishedValue(f *testing.F) {
	for _, name := range []string{"read", "read led", "publish", "publish held"} {
		for _, b := range []string{
			"", "\x01", "\x02", "\x06",
			"\x08\x04\x09\x01\x02\x03\x09\x00\x04\x20\x03\x01\x04\x07",             // of read
			"\x08\x06\x02\x04\x05\x09\x01\x02\x03\x09\x00\x04\x20\x03\x01\x04\x07", // of read led
			"\x04\x01", // of publish
			"\x04\xff", // not held
			"\x08\x03\x09\x01\x02\x03\x09\x00\x04\x20\x03\x01",         // a larger one is there
			"\x08\x04\x03\x00\x04\x00\x03\x01\x04\x07",                 // a text of no value
			"\x08\x04\x09\x01\x02\x03\x09\x01\x04\x20\x03\x01\x04\x07", // a digit is missing
			"\x08\x04\x09\x01\x02\x03\x09\x02\x04\x20\x03\x01\x04\x07", // a sign
			"\x08\x04\x09\x01\x02\x03\x09\x03\x04\x20\x03\x01\x04\x07", // a term that Lua cannot count
		} {
			f.Add(name, []byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		r := publishedRequests[name]
		if r == nil {
			return
		}
		reply := shape(&b, 0)
		a := r.answer(reply, nil)
		if (a.Status == Failed) != (a.Err != nil) {
			t.Fatalf("%s, %#v: status %d and error %v", name, reply, a.Status, a.Err)
		}
		if a.Err != nil {
			return
		}
		if reply == int64(1) || reply == int64(lua.NotHeld) {
			if want := map[any]Status{int64(1): Granted, int64(lua.NotHeld): Absent}[reply]; r.Verb != Publish || a.Status != want {
				t.Fatalf("%s, %#v: status %d", name, reply, a.Status)
			}
			return
		}
		list := reply.([]any)
		record := a.Record()
		for _, n := range []int64{record.Term, record.Seq, record.Writer} {
			if n < 0 || n > maxToken {
				t.Fatalf("%s, %#v: the version is %v", name, reply, record.Version)
			}
		}
		if r.Verb == Publish {
			if a.Status != Superseded {
				t.Fatalf("%s, %#v: status %d", name, reply, a.Status)
			}
		} else if a.Micros <= 0 {
			t.Fatalf("%s, %#v: the time is %d", name, reply, a.Micros)
		}
		if record.Text != "" && !strings.Contains(record.Text, list[len(list)-1-map[Verb]int{Read: 1}[r.Verb]].(string)) {
			t.Fatalf("%s, %#v: the text is %q", name, reply, record.Text)
		}
	})
}

func TestVersionsAreComparedByTermThenNumberThenWriter(t *testing.T) {
	all := []Version{{}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1}, {1, 0, 0}, {1, 0, 5}, {2, 0, 0}}
	for i, v := range all {
		for j, w := range all {
			if got := v.Compare(w); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%v to %v: %d", v, w, got)
			}
		}
	}
}
