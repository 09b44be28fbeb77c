package node

import "strings"

// An ACL is the rights that one purpose needs, and no more. SECURITY.md has the same for locks
// whose names have the prefix "app:".
type ACL struct {
	Keys     string // patterns, with {prefix} in them
	Channels string // the same
	Commands string
}

var acls = [...]ACL{
	ToLock:  {"~{prefix}*", "", "+set +get +del +pexpire +pttl +eval +evalsha"},
	ToWake:  {"~{{prefix}*}:*", "&{{prefix}*}:wake*", "+get +set +publish +subscribe +unsubscribe"},
	ToQueue: {"~{{prefix}*}:*", "&{{prefix}*}:wake*", "+time +zrange +zadd +zrem +zscore +hget +hset +hdel +hexists +exists +del +pexpire +pttl +publish +subscribe"},
	ToFence: {"~{{prefix}*}:*", "", "+get +set +time"},
	ToGuard: {"~" + markerKey + " ~" + quarantineKey, "", "+get +set +pttl +info"},
	ToBound: {"~{prefix}*", "", "+getrange"},
	ToShare: {"~{{prefix}*}:*", "", "+time +get +exists +zadd +zscore +zrange +zrem +zremrangebyscore +zrevrange +zcount +pexpireat"},
	ToPing:  {"", "", "+ping"},
}

// ACL returns what a user needs for locks whose keys begin with prefix.
func (n Purpose) ACL(prefix string) ACL {
	a := acls[n]
	fill := strings.NewReplacer("{prefix}", prefix)
	return ACL{fill.Replace(a.Keys), fill.Replace(a.Channels), a.Commands}
}

// of is the whole ACL in one line.
func (n Purpose) of(prefix string) string {
	a := n.ACL(prefix)
	return strings.Join(strings.Fields(a.Keys+" "+a.Channels+" "+a.Commands), " ")
}

// purposeOf is the purpose of the rights that an option needs, besides those of every lock.
func purposeOf(option string) Purpose {
	switch option {
	case "WithFair":
		return ToQueue
	case "WithFencing":
		return ToFence
	case "WithRestartGuard":
		return ToGuard
	case optionShared:
		return ToShare
	}
	return ToLock
}

// Purpose is the purpose of the rights that the user of a self-test lacks, if it failed for
// lack of rights.
func (t *SelfTest) Purpose() Purpose { return purposeOf(t.Option) }
