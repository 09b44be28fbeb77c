package main

import "time"

// A Led is what belongs to a campaign, and to the leadership if there was one. The lock of a
// leadership is in its Try: the term is the token.
type Led struct {
	Value    string // that it proclaims first
	Previous *Use   `json:",omitempty"` // what the leader before had proclaimed last
	Refused  bool   `json:",omitempty"` // it certainly was not elected: the lock was not granted
}

// A Use is one use of a published value: a write, a read, or what a watcher was told.
type Use struct {
	Kind   use
	Client int    // for a watcher: one of its process
	Name   string // of the path or the election
	Life   int    `json:",omitempty"` // of a watcher: how many processes were killed before its own
	Begun  time.Duration
	Done   time.Duration // when it was answered; 0: never
	Err    string        `json:",omitempty"` // a read: it found nothing out; a write: it may have taken place

	Value     string `json:",omitempty"`
	Term, Seq uint64 `json:",omitempty"` // the version; of a Proclaim the term only
	None      bool   `json:",omitempty"` // nothing was published, or nobody leads
	Confirmed bool   `json:",omitempty"` // a majority has it
}

type use string

const (
	publish   use = "Publish"
	publishAs use = "PublishAs"
	latest    use = "Latest"
	watch     use = "Watch"
	proclaim  use = "Proclaim"
	leader    use = "Leader"
	observe   use = "Observe"
)

func (k use) writes() bool  { return k == publish || k == publishAs || k == proclaim }
func (k use) watches() bool { return k == watch || k == observe }

// acknowledged reports whether a write certainly took place, and a read found something out.
func (u Use) acknowledged() bool { return u.Err == "" && u.Done > 0 }
