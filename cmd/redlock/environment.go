package main

import (
	"slices"
	"strconv"
	"strings"
)

// previousVariable has what the leader before has proclaimed.
const previousVariable = "REDLOCK_PREVIOUS"

// environment is what the command gets: inherited, and what it may want to know
// about the lock. The lock's value is not among it, since a process that knows it can
// release the lock; and neither are the URLs of the nodes, with their passwords.
func (r *runCommand) environment(inherited []string, token uint64) []string {
	own := []string{
		"REDLOCK_NAME=" + r.Name,
		"REDLOCK_KEY=" + r.Prefix + r.Name,
		"REDLOCK_OWNER=" + r.Owner,
		"REDLOCK_TTL_MS=" + strconv.FormatInt(r.TTL.Milliseconds(), 10),
	}
	hidden := append([]string{nodesVariable + "=", "REDLOCK_TOKEN=", "REDLOCK_SLOT=", previousVariable + "="}, own...) // also those of an outer lock
	if r.Slots > 0 {
		own[1] += "/" + strconv.Itoa(r.slot)
		own = append(own, "REDLOCK_SLOT="+strconv.Itoa(r.slot))
	}
	if r.Fencing {
		own = append(own, "REDLOCK_TOKEN="+strconv.FormatUint(token, 10))
	}
	env := slices.DeleteFunc(slices.Clone(inherited), func(entry string) bool {
		return slices.ContainsFunc(hidden, func(h string) bool {
			name, _, _ := strings.Cut(h, "=")
			return strings.HasPrefix(entry, name+"=")
		})
	})
	return append(env, own...)
}
