package main

import (
	"syscall"
	"time"
)

// pause sleeps until then, and no more than the 50 µs longer that the kernel takes:
// the runtime's timers may be a whole millisecond late in a process that idles.
func pause(d time.Duration) {
	if d <= 0 {
		return
	}
	left := syscall.NsecToTimespec(int64(d))
	for syscall.Nanosleep(&left, &left) == syscall.EINTR {
	}
}
