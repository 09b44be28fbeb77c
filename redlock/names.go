package redlock

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quorumlock/quorumlock/internal/node"
)

// valuePrefix marks values of this library and the version of their form:
//
//	rl1:<32 hex digits of nonce>:<label of the owner>
const valuePrefix = "rl1:"

const nonceDigits = 32

// newValue returns the value of one attempt. The nonce is new for every attempt,
// not for every call: with one nonce for all attempts, a late release of an
// early attempt would delete the key of a later one.
func newValue(owner string) string {
	var nonce [nonceDigits / 2]byte
	rand.Read(nonce[:]) // never fails, see crypto/rand
	b := make([]byte, 0, len(valuePrefix)+nonceDigits+1+maxLabel)
	b = append(b, valuePrefix...)
	b = hex.AppendEncode(b, nonce[:])
	b = append(b, ':')
	b = append(b, owner...)
	return string(b)
}

// isLabel reports whether a label may be shown. A client that can write to a node can write
// a label with line breaks, which would forge lines of a log, or with bytes that are no
// UTF-8, which some terminals obey and metrics refuse.
func isLabel(label string) bool {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	return label != "" && len(label) <= maxLabel && utf8.ValidString(label) && !strings.ContainsFunc(label, unprintable)
}

// holderOf names the holder of a value and does not show the value, which can release the
// lock.
func holderOf(value string) string {
	rest, ours := strings.CutPrefix(value, valuePrefix)
	if ours && len(rest) > nonceDigits+1 && rest[nonceDigits] == ':' {
		label := rest[nonceDigits+1:]
		if _, err := hex.DecodeString(rest[:nonceDigits]); err == nil && isLabel(label) {
			return label
		}
	}
	sum := sha256.Sum256([]byte(value))
	return fmt.Sprintf("foreign holder #%x", sum[:4])
}

// keyOf returns the key of a lock on the nodes.
func keyOf(prefix, name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("redlock: the name of a lock must not be empty")
	}
	key := prefix + name
	if node.IsSideKey(key) {
		return "", fmt.Errorf("redlock: %q cannot be the key of a lock: keys of this form belong to other locks; choose another name or prefix", key)
	}
	return key, nil
}
