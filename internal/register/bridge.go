package register

// Package redlock makes Registers and Writers, and packages election and board use them. None of
// the three is to show them to users: so redlock sets these functions when it is initialised.
var (
	// Of returns the registers of a *redlock.Locker.
	Of func(locker any) *Registers
	// WriterOf returns the *redlock.Lock as a writer. It is nil if the lock has no fencing token,
	// or is nil itself.
	WriterOf func(lock any) *Writer
	// Label names the holder of a lock by the value of its keys, and does not show that.
	Label func(value string) string
)
