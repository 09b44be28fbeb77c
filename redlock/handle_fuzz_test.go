package redlock

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"
)

func someHandle() *handle {
	return &handle{
		nodes: 3, prefix: "app:", name: "job", value: valuePrefix + strings.Repeat("0f", nonceDigits/2) + ":host:1", token: 7, modes: allModes,
		ttl: 8 * time.Second, left: 5 * time.Second, held: time.Minute, maxHold: time.Hour, minHold: time.Second, tokenLife: 24 * time.Hour,
	}
}

// sealed puts the checksum behind what a handle begins with, or what looks like it.
func sealed(b []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(b), crc32.ChecksumIEEE(b))
}

// No bytes read as a handle that a lock cannot have, and every handle has one form. A client
// that can write into a job queue can compute a checksum, too.
func FuzzHandle(f *testing.F) {
	whole := someHandle().encode()
	body := whole[:len(whole)-4]
	f.Add([]byte(nil))
	f.Add([]byte("rlh2"))
	for _, n := range []int{0, 3, 4, 5, 20, len(body) - 1, len(body)} {
		f.Add(body[:n])
	}
	f.Add(append(bytes.Clone(body[:5]), bytes.Repeat([]byte{0xff}, 100)...))
	f.Add(bytes.Replace(body, []byte(valuePrefix), []byte("rl2:"), 1))
	f.Add(slices.Concat(body[:5], []byte{0x83, 0}, body[6:])) // a number that could be shorter
	f.Add(append(bytes.Clone(body), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 2*maxHandle {
			t.Skip("too long")
		}
		for _, b := range [][]byte{b, sealed(b)} {
			h, err := decode(b)
			if (h == nil) == (err == nil) {
				t.Fatalf("%+v and %v", h, err)
			}
			if err != nil {
				continue
			}
			if !bytes.Equal(h.encode(), b) {
				t.Fatalf("%q is read as %q", b, h.encode())
			}
			if !strings.HasPrefix(h.value, valuePrefix) || h.left <= 0 || h.token < 0 || h.nodes < 1 {
				t.Fatalf("no lock has %+v", h)
			}
			s, err := defaults().settings.changed(h.options(), 0.01)
			if err == nil && (s.ttl < minTTL || s.ttl > maxTTL || s.maxHold < 0 || s.minHold < 0 || s.maxHold > 0 && s.maxHold < s.ttl) {
				t.Fatalf("no lock has the options %+v", s)
			}
		}
	})
}

func TestEveryChangeOfAHandleIsNoticed(t *testing.T) {
	whole := someHandle().encode()
	if h, err := decode(whole); err != nil || *h != *someHandle() {
		t.Fatalf("%+v, %v", h, err)
	}
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			if _, err := decode(b); err == nil {
				t.Fatalf("byte %d, bit %d", i, bit)
			}
		}
		if _, err := decode(whole[:i]); err == nil {
			t.Fatalf("the first %d bytes", i)
		}
	}
}
