package diagnosis

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

func (j *judge) role() {
	switch j.Server.Mode {
	case "cluster":
		j.add(Error, "role", "it is part of a cluster", "locking fails for keys of other slots, and a fail-over forgets locks",
			"use independent masters: "+node.OutOfCluster)
	case "sentinel":
		remedy := "give the address of a master"
		if masters := j.Server.Masters; len(masters) > 0 {
			remedy += ": it watches " + strings.Join(masters, ", ")
		}
		j.add(Error, "role", "it is a Sentinel and holds no data", "no lock on this node", remedy)
	}
	switch j.Server.Role {
	case "slave":
		j.add(Error, "role", "it is a replica", "it takes no locks; if it is writable, they vanish when it follows its master again",
			"give the address of a master of its own, or make it one: REPLICAOF NO ONE")
	case "active-replica":
		j.add(Error, "role", "it is an active replica: it and others write into each other", "exclusion: one of them forgets a lock that the other has, and brings back what was released",
			"use independent masters: REPLICAOF NO ONE, and active-replica no in its configuration file")
	}
}

// distinct compares this node with the earlier ones. Run ids distinguish processes, whatever their
// names. Without a run id, the value that the self-test stored on another node does.
func (j *judge) distinct(i int) {
	for k := range i {
		other := &j.all[k]
		switch {
		case j.Server.RunID != "" && j.Server.RunID == other.Server.RunID:
		case j.SelfTest.Found != "" && j.SelfTest.Found == other.SelfTest.Value:
		case other.SelfTest.Found != "" && other.SelfTest.Found == j.SelfTest.Value:
		default:
			continue
		}
		j.add(Error, "distinct", fmt.Sprintf("it is the same server as %s", other.Node), "exclusion: one server votes twice, and its restart counts for two",
			"give each master once; another address or database is no other node")
		return
	}
}

func (j *judge) loading() {
	if j.Server.Loading == 1 {
		j.add(Error, "loading", "it is loading its data", "no lock on this node until it has", "wait")
	}
}

func (j *judge) eviction() {
	s := j.Server
	if s.Policy == "" || s.Policy == "noeviction" {
		return
	}
	severity, seen := Error, fmt.Sprintf("maxmemory-policy is %s, maxmemory %s", s.Policy, size(s.Max))
	if s.Max == 0 {
		severity, seen = Warning, fmt.Sprintf("maxmemory-policy is %s; there is no maxmemory, so nothing is evicted yet", s.Policy)
	}
	if s.Evicted > 0 {
		seen += fmt.Sprintf("; %d keys were evicted since it started", s.Evicted)
	}
	remedy := "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file"
	if s.Blesses() {
		remedy += "; BLESS SET <key> NO-EVICT keeps one key that exists, such as redlock:node, and no locks: their keys are new each time"
	}
	j.add(severity, "eviction", seen, "exclusion: short of memory it forgets locks that are held", remedy)
}

// durable reports whether what was acknowledged survives a crash of the machine.
func (j *judge) durable() bool {
	return j.Server.AOF == 1 && j.Config.Fsync == "always" && j.Config.FsyncInRewrite
}

func (j *judge) persistence() {
	const remedy = "CONFIG SET appendonly yes, CONFIG SET appendfsync always, and both in its configuration file; or keep it down for one TTL after a crash"
	s, c := j.Server, j.Config
	warn := func(seen, forgets string) {
		if j.guarded() {
			j.add(Note, "persistence", seen, "", "")
			return
		}
		j.add(Warning, "persistence", seen, "exclusion: "+forgets, remedy)
	}
	switch {
	case s.AOF == 1 && c.Fsync == "everysec":
		warn("appendfsync is everysec", "a crash of the machine, or of the server while its disk is slow, forgets the locks of the last second or two")
	case s.AOF == 1 && c.Fsync == "no":
		warn("appendfsync is no", "a crash of the machine forgets what the kernel had not written, often half a minute")
	case s.AOF == 1 && c.Fsync == "always" && !c.FsyncInRewrite:
		j.add(Warning, "persistence", "no-appendfsync-on-rewrite is yes: appendfsync always does not hold while the file is rewritten",
			"exclusion: a crash of the machine meanwhile forgets locks", "CONFIG SET no-appendfsync-on-rewrite no, and the same in its configuration file")
	case s.AOF == 0 && j.ConfigErr != nil:
		warn("there is no append-only file", "a restart forgets all locks, or all but those in a snapshot")
	case s.AOF == 0 && c.Save == "":
		warn("nothing is persisted", "a restart forgets all locks")
	case s.AOF == 0:
		warn("there are snapshots only", "a restart forgets the locks that were taken since the last one, and brings back others that were released")
	}
	if s.AOF == 1 && s.AOFWrites != "" && s.AOFWrites != "ok" {
		j.add(Error, "persistence", "the last write to the append-only file failed", "locking: it refuses writes while it cannot keep them",
			"see its log, and free space on its disk")
	}
}

func (j *judge) replication() {
	if j.Server.Role == "slave" || j.Server.Replicas <= 0 && j.Sentinels <= 0 {
		return
	}
	seen := fmt.Sprintf("%d replicas follow it", max(j.Server.Replicas, 0))
	if j.Sentinels > 0 {
		seen += fmt.Sprintf(", and %d sentinels watch it", j.Sentinels)
	}
	if m := j.Config.MinReplicas; m != "" && m != "0" {
		seen += fmt.Sprintf("; min-replicas-to-write is %s, which does not wait for them", m)
	}
	j.add(Warning, "replication", seen, "exclusion: a replica that is promoted lacks the last locks",
		"no fail-over for nodes of locks: remove replicas and sentinels, or let a TTL pass before one that was promoted is used")
}

// uptime is a hint only: it follows the wall clock of the server.
func (j *judge) uptime() {
	up := j.Server.Uptime
	if j.Server.Mode == "sentinel" || up < 0 || up >= j.TTL+time.Second || j.durable() || j.guarded() { // it counts whole seconds
		return
	}
	j.add(Warning, "uptime", fmt.Sprintf("by its wall clock it started %v ago, and locks live for %v", up, j.TTL),
		"exclusion: it may have forgotten locks that are still held",
		fmt.Sprintf("keep it out of use for one TTL after a start: another %v now", j.TTL+time.Second-up))
}

// full is the share of a limit that counts as near.
const full = 0.9

func (j *judge) limits() {
	s := j.Server
	if s.Max > 0 && float64(s.Used) >= full*float64(s.Max) {
		j.add(Warning, "memory", fmt.Sprintf("%s of maxmemory %s are used", size(s.Used), size(s.Max)),
			"locking: at the limit it refuses to take locks, or evicts them", "raise maxmemory, or move other data elsewhere")
	}
	if s.MaxClient > 0 && float64(s.Clients) >= full*float64(s.MaxClient) {
		j.add(Warning, "clients", fmt.Sprintf("%d of %d connections are in use", s.Clients, s.MaxClient),
			"locking: at the limit new connections are refused", "raise maxclients, or use smaller client pools")
	}
}

func (j *judge) version() {
	switch major := j.Server.Major; {
	case j.NativeRefused:
		j.add(Note, "version", "it does not take SET with both NX and GET", "speed: a lock is acquired by a script", "Redis 7, or Valkey")
	case major >= 0 && major < 7 && j.SelfTest.Skipped != "":
		j.add(Note, "version", "it is older than Redis 7, which takes SET with both NX and GET", "speed: a lock is acquired by a script", "Redis 7, or Valkey")
	}
}

func size(bytes int64) string {
	const unit = 1024
	switch {
	case bytes < unit:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/unit)
	case bytes < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/unit/unit)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/unit/unit/unit)
}
