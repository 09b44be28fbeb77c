package redlock

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

// A handle is a held lock in bytes, as [Lock.Handle] makes them:
//
//	rlh1 | fields | CRC-32 of all before it
//
// Numbers are unsigned varints, times nanoseconds, and texts have their length before them.
// There is one form for each handle: whatever reads differently was damaged. Nothing in it
// is a time of day. Clocks of two machines differ, and a time that is left does not.
type handle struct {
	nodes  int
	prefix string
	name   string
	value  string // what the keys hold: a secret
	token  int64  // 0 without fencing
	modes  byte

	ttl       time.Duration
	left      time.Duration // validity
	held      time.Duration // since the acquisition
	maxHold   time.Duration
	minHold   time.Duration
	tokenLife time.Duration
	lease     time.Duration // of a position in the wait queue
}

const (
	keptAlive byte = 1 << iota
	fairly
	fenced
	allModes = keptAlive | fairly | fenced
)

const (
	handleForm = "rlh"
	handleMark = handleForm + "1"

	// maxHandle is more than any lock of a sensible name needs, and less than job queues
	// take.
	maxHandle = 64 << 10
)

// texts and numbers are the fields of a handle, in order.
func (h *handle) texts() []*string { return []*string{&h.prefix, &h.name, &h.value} }

func (h *handle) times() []*time.Duration {
	return []*time.Duration{&h.ttl, &h.left, &h.held, &h.maxHold, &h.minHold, &h.tokenLife, &h.lease}
}

// encode returns the bytes of a handle.
func (h *handle) encode() []byte {
	b := append([]byte(handleMark), h.modes)
	b = binary.AppendUvarint(b, uint64(h.nodes))
	b = binary.AppendUvarint(b, uint64(h.token))
	for _, d := range h.times() {
		b = binary.AppendUvarint(b, uint64(*d))
	}
	for _, text := range h.texts() {
		b = binary.AppendUvarint(b, uint64(len(*text)))
		b = append(b, *text...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// Errors about a handle do not show it, and nothing that is in it but a name.
var (
	errNoHandle  = errors.New("these bytes are no handle: pass on what Lock.Handle returned, unchanged")
	errOtherForm = errors.New("the handle is of another version of this library: use the same version for Handle and Attach")
	errDamaged   = errors.New("the handle is damaged or was cut short: pass on what Lock.Handle returned, unchanged")
	errTooLong   = fmt.Errorf("the handle is longer than %d bytes: no lock that can be handed over has such a one", maxHandle)
)

// decode reads a handle.
func decode(b []byte) (*handle, error) {
	const sum = 4
	switch {
	case len(b) > maxHandle:
		return nil, errTooLong
	case !bytes.HasPrefix(b, []byte(handleForm)):
		return nil, errNoHandle
	case len(b) > len(handleForm) && !bytes.HasPrefix(b, []byte(handleMark)):
		return nil, errOtherForm
	case len(b) < len(handleMark)+1+sum:
		return nil, errDamaged
	}
	rest := b[len(handleMark) : len(b)-sum]
	h := &handle{modes: rest[0]}
	rest = rest[1:]
	ok := true
	number := func() uint64 {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > 1<<63-1 {
			ok, rest = false, nil
			return 0
		}
		rest = rest[size:]
		return n
	}
	nodes, token := number(), number()
	h.nodes, h.token = int(min(nodes, 1<<31-1)), int64(token)
	for _, d := range h.times() {
		*d = time.Duration(number())
	}
	for _, text := range h.texts() {
		n := number()
		if n > uint64(len(rest)) {
			return nil, errDamaged
		}
		*text, rest = string(rest[:n]), rest[n:]
	}
	if !ok || !bytes.Equal(h.encode(), b) || !h.sound() {
		return nil, errDamaged
	}
	return h, nil
}

// sound reports whether a lock can have what the handle says, as far as options do not say
// so themselves.
func (h *handle) sound() bool {
	nonce, label, _ := strings.Cut(strings.TrimPrefix(h.value, valuePrefix), ":")
	_, err := hex.DecodeString(nonce)
	return strings.HasPrefix(h.value, valuePrefix) && len(nonce) == nonceDigits && err == nil && isLabel(label) &&
		h.modes&^allModes == 0 && (h.modes&fenced != 0) == (h.token != 0) && h.token < 1<<53 &&
		h.nodes > 0 && h.left > 0 && h.left <= h.ttl
}

// options are those of the lock.
func (h *handle) options() []LockOption {
	opts := []LockOption{WithTTL(h.ttl), WithMaxHold(h.maxHold), WithMinHold(h.minHold), WithTokenLife(h.tokenLife)}
	if h.lease != 0 {
		opts = append(opts, WithPlaceLease(h.lease))
	}
	return append(opts, lockOption(func(s *settings) {
		s.keepAlive, s.fair, s.fencing = h.modes&keptAlive != 0, h.modes&fairly != 0, h.modes&fenced != 0
	}))
}
