package node

import "strings"

// SideKey returns the name of something that belongs to the lock with this key:
// "{key}:wait". Side keys have the hash slot of their lock, so where a part of
// the key is its hash tag they begin with that: "{tag}:{key}:wait".
func SideKey(key, what string) string {
	side := "{" + key + "}:" + what
	if begin := strings.IndexByte(key, '{'); begin >= 0 {
		if end := strings.IndexByte(key[begin+1:], '}'); end > 0 {
			return key[begin:begin+end+2] + ":" + side
		}
	}
	return side
}

// IsSideKey reports whether a key has the form of those that belong to a lock
// ("{key}:fence") or to a node: a lock of such a name would collide with them.
func IsSideKey(key string) bool {
	if end := strings.LastIndex(key, "}:"); end > 0 && key[0] == '{' {
		switch key[end+len("}:"):] {
		case "fence", "lease", "queue", "wait", "wake":
			return true
		}
	}
	return key == markerKey || key == quarantineKey
}
