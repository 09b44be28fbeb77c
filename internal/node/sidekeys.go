package node

import "strings"

// SideKey returns the name of what belongs to the lock with this key: "{key}:wait". A side key
// has the hash slot of its lock. So if a part of the key is its hash tag, the side key begins
// with that: "{tag}:{key}:wait".
func SideKey(key, what string) string {
	side := "{" + key + "}:" + what
	if begin := strings.IndexByte(key, '{'); begin >= 0 {
		if end := strings.IndexByte(key[begin+1:], '}'); end > 0 {
			return key[begin:begin+end+2] + ":" + side
		}
	}
	return side
}

// IsSideKey reports whether a key has the form of a key that belongs to a lock ("{key}:fence")
// or to a node. A lock of such a name would collide with them.
func IsSideKey(key string) bool {
	if end := strings.LastIndex(key, "}:"); end > 0 && key[0] == '{' {
		switch key[end+len("}:"):] {
		case "fence", "intent", "leader", "lease", "news", "queue", "value", "wait", "wake":
			return true
		}
	}
	return key == markerKey || key == quarantineKey
}
