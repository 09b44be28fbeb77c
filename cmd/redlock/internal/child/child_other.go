//go:build !unix

// Package child runs a command as a child that redlock controls. It needs process groups and
// signals, which this system lacks.
package child

import (
	"errors"
	"os"
	"os/signal"
	"time"
)

// A Child is a command that was started: never, on this system.
type Child struct{}

func Start(string, []string, []string, time.Duration, func() bool) (*Child, error) {
	return nil, errors.New("running a command under a lock needs a Unix system")
}

func Notify(ch chan<- os.Signal) { signal.Notify(ch, os.Interrupt) }
func Ends(os.Signal) bool        { return true }
func Suspends(os.Signal) bool    { return false }
func Suspend()                   {}
func Number(os.Signal) int       { return 2 }

func Guard() {}

func (*Child) Unguarded() error           { return nil }
func (*Child) Leave()                     {}
func (*Child) Done() <-chan struct{}      { return nil }
func (*Child) Code() int                  { return 0 }
func (*Child) Forward(os.Signal)          {}
func (*Child) Terminate()                 {}
func (*Child) Kill()                      {}
func (*Child) Gone(<-chan time.Time) bool { return true }
