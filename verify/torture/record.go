package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// A History is all that was seen in a run. Times count from the beginning of the run on
// CLOCK_MONOTONIC, whichever process read it.
type History struct {
	Run    Run
	Faults []Fault
	Tries  []Try
	Uses   []Use
	Finals []Final
	Calm   Calm
}

// A Run is how it was set up.
type Run struct {
	Seed    uint64
	Length  time.Duration // of the part with faults
	TTL     time.Duration
	Outside bool // nodes may forget what they acknowledged
	Fencing bool // locks have tokens
	Guard   bool // clients guard restarts
	Nodes   int
	Names   []string // of the locks
	Clients []Client
	Server  string // version

	Kills      int         `json:",omitempty"` // leaders to kill; the faults end a little later
	Elections  []string    `json:",omitempty"` // their names
	Paths      []string    `json:",omitempty"` // of boards; the lock of the same name is for PublishAs
	Semaphores []Semaphore `json:",omitempty"`
}

// values reports whether values are published and proclaimed: a server that returns without
// them forgets what it acknowledged, however late that is.
func (r Run) values() bool { return len(r.Elections)+len(r.Paths) > 0 }

// names are those of all that is locked.
func (r Run) names() []string { return slices.Concat(r.Names, r.slots(), r.Elections, r.Paths) }

// claimed reports whether exclusion has to hold: servers forget nothing, or clients guard
// against it.
func (r Run) claimed() bool { return !r.Outside || r.Guard }

// A Client is one goroutine of a worker, and has a lane of its own.
type Client struct {
	Process int
	Adapter string // one of adapters
	Role    string `json:",omitempty"`
}

// What a client does: it takes locks, or one of these.
const (
	candidate = "candidate"
	publisher = "publisher"
	acquirer  = "acquirer" // of slots of semaphores
)

// A Try is one request for a lock, for several at once or for reading, and, if it was granted,
// the hold.
type Try struct {
	Client int
	Name   string   // of several: all names
	Names  []string `json:",omitempty"` // of several
	Reader bool     `json:",omitempty"`
	Mode   string   // how it was asked for
	Calm   bool     // after the faults
	Call   time.Duration
	Return time.Duration
	Err    string `json:",omitempty"` // why it was not granted

	// Of a hold.
	Token    uint64        `json:",omitempty"`
	End      time.Duration `json:",omitempty"` // until when the process knew that it held it; at or before Return: never
	Until    time.Duration `json:",omitempty"` // of the last extension
	Lost     string        `json:",omitempty"` // the cause, if the context ended before Unlock
	Unlock   time.Duration `json:",omitempty"` // was called
	Unlocked time.Duration `json:",omitempty"` // returned
	Denied   string        `json:",omitempty"` // the error of Unlock
	Shared   time.Duration `json:",omitempty"` // a writer: when Downgrade was called; from then on it is a reader
	Killed   time.Duration `json:",omitempty"` // when its process was: it said nothing after that
	Writes   []Write       `json:",omitempty"`
	Led      *Led          `json:",omitempty"` // of a campaign for an election
	Permit   *Permit       `json:",omitempty"` // of a request for a slot of a semaphore
}

// granted reports whether there was a hold.
func (t Try) granted() bool { return t.Err == "" }

// campaigned reports whether it was a campaign for an election.
func (t Try) campaigned() bool { return t.Led != nil }

// knew reports whether there was a time at which the process knew that it held the lock.
// A process that was stopped from the grant until after the validity knew nothing. For one that was
// killed while it held the lock, that goes on until the end of its validity: it was not
// released.
func (t Try) knew() bool { return t.granted() && t.End > t.Return }

// names are those of the locks that it asks for.
func (t Try) names() []string {
	switch {
	case t.Names != nil:
		return t.Names
	case t.permitted() && !t.granted():
		return slotNames(t.Permit.Semaphore, t.Permit.Slots)
	}
	return []string{t.Name}
}

// alone is until when the process knew that it held the lock, and that no one else did.
func (t Try) alone() time.Duration {
	switch {
	case t.Reader:
		return t.Return
	case t.Shared > 0:
		return min(t.Shared, t.End)
	}
	return t.End
}

// counterOf is the name of the lock whose counter a write of its went to.
func (t Try) counterOf(w Write) string {
	if w.Name != "" {
		return w.Name
	}
	return t.Name
}

// A Write is one increment of a counter at a resource: a read, a pause, a write.
type Write struct {
	Name    string        `json:",omitempty"` // of the lock, where its try asks for several
	Fenced  bool          `json:",omitempty"`
	Begun   time.Duration // the read (fenced: the claim) was sent
	Read    time.Duration // and answered
	Sent    time.Duration `json:",omitempty"` // the write was sent; 0 if the claim was refused, or the process killed
	Done    time.Duration `json:",omitempty"`
	Value   int64         // what was read; one more is written
	Refused bool          `json:",omitempty"` // by the fence: the claim if Sent is 0, else the write
	Unknown bool          `json:",omitempty"` // the claim was carried out, and the process killed: Value is not known
}

// A Final is what the counters of a lock's resources were in the end.
type Final struct {
	Name             string
	Unfenced, Fenced int64
}

// A Calm is how it went when the faults had ended.
type Calm struct {
	Begun    time.Duration
	Bound    time.Duration // within which every client has to get every lock
	Slowest  time.Duration // of the clients that did
	Missing  []string      // clients without a lock
	Unclosed []string      // what Close of a Locker said
	Left     []string      // keys of locks that were on a node in the end
}

// An item is one line of a history's file.
type item struct {
	Run   *Run   `json:",omitempty"`
	Fault *Fault `json:",omitempty"`
	Try   *Try   `json:",omitempty"`
	Use   *Use   `json:",omitempty"`
	Final *Final `json:",omitempty"`
	Calm  *Calm  `json:",omitempty"`
}

// save writes the history as JSON, one item a line.
func (h *History) save(file string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	buffer := bufio.NewWriter(f)
	out := json.NewEncoder(buffer)
	items := []item{{Run: &h.Run}}
	for i := range h.Faults {
		items = append(items, item{Fault: &h.Faults[i]})
	}
	for i := range h.Tries {
		items = append(items, item{Try: &h.Tries[i]})
	}
	for i := range h.Uses {
		items = append(items, item{Use: &h.Uses[i]})
	}
	for i := range h.Finals {
		items = append(items, item{Final: &h.Finals[i]})
	}
	for _, i := range append(items, item{Calm: &h.Calm}) {
		if err := out.Encode(i); err != nil {
			return err
		}
	}
	return buffer.Flush()
}

// load reads what save wrote.
func load(file string) (*History, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := &History{}
	in := json.NewDecoder(bufio.NewReader(f))
	for line := 1; ; line++ {
		var i item
		if err := in.Decode(&i); err == io.EOF && (h.Run.Nodes == 0 || h.Calm.Bound == 0) {
			return nil, fmt.Errorf("%s is not a history, or not all of one: it has no run, or no end", file)
		} else if err == io.EOF {
			return h, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s, item %d: %w", file, line, err)
		}
		switch {
		case i.Run != nil:
			h.Run = *i.Run
		case i.Fault != nil:
			h.Faults = append(h.Faults, *i.Fault)
		case i.Try != nil:
			h.Tries = append(h.Tries, *i.Try)
		case i.Use != nil:
			h.Uses = append(h.Uses, *i.Use)
		case i.Final != nil:
			h.Finals = append(h.Finals, *i.Final)
		case i.Calm != nil:
			h.Calm = *i.Calm
		}
	}
}
