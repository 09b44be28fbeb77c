package lease

import "errors"

// Why a lease ended. Users of package redlock match these, so they are a contract.
var (
	ErrExpired    = errors.New("lock expired")
	ErrLost       = errors.New("lock was lost")
	ErrReleased   = errors.New("lock was released")
	ErrHandedOver = errors.New("lock was handed over")
	ErrClosed     = errors.New("locker is closed")
)

// ErrMaxHold is the error of an extension that could not extend anything. The lease is
// held as before.
var ErrMaxHold = errors.New("it is held for as long as it may be, the WithMaxHold")
