package node

// A refusal is a kind of error reply.
type refusal struct {
	text   string // that the reply contains; small letters match capitals, too
	end    end
	remedy string
}

// OutOfCluster is what makes a node of a cluster a master of its own.
const OutOfCluster = "set cluster-enabled no in its configuration file and on its command line, and restart it"

// rightsOf says which rights the user of an option needs besides those of every lock.
func rightsOf(option string) string {
	if option == optionPublished {
		return option + " needs more rights than a lock: ACL SETUSER <user> +eval +evalsha +set +getrange +pttl +time +publish ~{<prefix>*}:* &{<prefix>*}:news; SECURITY.md lists all"
	}
	return option + " needs more rights than a lock without it: ACL SETUSER <user> +eval +evalsha " + purposeOf(option).of("<prefix>") + "; SECURITY.md lists all"
}

// Remedies that several refusals have.
const (
	// rightsOfScripts is for servers that let a user run a script, but not the commands in it.
	// See rightsOf for what is missing where that is known.
	rightsOfScripts = "allow its ACL user the commands and keys of the scripts: SECURITY.md lists them, those of WithFair and of RLock, too"
	noPassword      = "this server has no password: take it out of this node's client, or give the server one"
	database        = "give this node's client a database that the server has (databases in its configuration file), such as 0"
	aCluster        = "this is a node of a cluster; a lock needs independent masters: " + OutOfCluster
	lacksCommand    = "this server lacks a command the lock needs, or renamed it: take rename-command out of its configuration file, and restart it; of a Sentinel, give the address of its master in its place"
	notOffered      = "this service or proxy refuses a command the lock needs (SET, EVAL, EVALSHA): have it allowed, or use plain masters"
	declaredKeys    = "this service or proxy lets scripts use no keys but those in KEYS: have it allow others, or use plain masters"
	behindProxy     = "a proxy does not reach the server behind it: see whether that runs"
	limited         = "the service limits its clients: use a larger plan, or fewer requests"
	moreClients     = "raise maxclients on this node, or use smaller client pools"
)

// refusals are the known error replies. The first that matches counts: words that other replies
// may contain come last.
var refusals = []refusal{
	{"GUARDQUARANTINE", passes, "it votes again by itself"},
	{"GUARDMISMATCH", untilFixed, "all clients of a node must use the same number of nodes and the same WithRestartGuard; to change that, stop them, DEL redlock:node on every node, and start"},
	{"CLOCKBEHIND", passes, "set the clock of this node: it takes no fencing tokens until then"},

	// Of the server, for a while.
	{"READONLY", passes, "this is a replica: a lock needs masters"},
	{"MASTERDOWN", passes, "this is a replica without its master: a lock needs masters"},
	{"OOM", passes, "raise maxmemory or free memory on this node"},
	{"MISCONF", passes, "this node cannot save its data: see its log"},
	{"LOADING", passes, "this node is still loading its data"},
	{"NOREPLICAS", passes, "this node has fewer replicas than its min-replicas-to-write: set that to 0, since a lock does not wait for replicas"},
	{"busy running a script", passes, "a script runs for long on this node: SCRIPT KILL ends one that has not written yet"},
	{"max number of clients", passes, moreClients},
	{"max clients", passes, moreClients},

	// Of a cluster.
	{"CLUSTERDOWN", passes, aCluster},
	{"TRYAGAIN", passes, aCluster},
	{"MOVED ", permanent, aCluster},
	{"ASK ", permanent, aCluster},
	{"CROSSSLOT", permanent, aCluster},
	{"hash to the same slot", permanent, aCluster},
	{"non local key", permanent, aCluster},
	{"in cluster mode", untilFixed, aCluster},

	// Of the user and its rights.
	{"DENIED", untilFixed, "this server is in protected mode and takes connections of its own machine only: give its default user a password"},
	{"user executing the script can't", untilFixed, rightsOfScripts},
	{"acl failure in script", untilFixed, rightsOfScripts},
	{"NOPERM", untilFixed, "allow its ACL user SET, GET, DEL, PEXPIRE, PTTL, EVAL and EVALSHA on the lock's keys"},
	{"WRONGPASS", untilFixed, "check the user name and password of this node's client"},
	{"NOAUTH", untilFixed, "give this node's client a password"},
	{"invalid password", untilFixed, "check the password of this node's client"},
	{"called without any password configured", untilFixed, noPassword},
	{"no password is set", untilFixed, noPassword},
	{"db index is out of range", untilFixed, database},
	{"invalid db index", untilFixed, database},
	{"WRONGTYPE", permanent, "a data key has the lock's name: choose another name or a prefix"},

	// Of commands. Redis, Redict, Valkey and KeyDB each have words of their own for errors in
	// scripts, and so have services and proxies.
	{"unknown command", untilFixed, lacksCommand},
	{"command called from", untilFixed, lacksCommand},
	{"find scripting engine", untilFixed, "this server runs without Lua, and scripts need it: load that module"},
	{"undeclared key", lasts, declaredKeys},
	{"keys array", lasts, declaredKeys},
	{"unsupported command", untilFixed, notOffered},
	{"not support", lasts, notOffered}, // "for your account", "ed"
	{"not available", lasts, notOffered},
	{"not allowed", lasts, notOffered},
	{"disabled", lasts, notOffered},

	// Of proxies, about the server behind them, and of services.
	{"connection refused", passes, behindProxy},
	{"connection reset", passes, behindProxy},
	{"timed out", passes, behindProxy},
	{"timeout", passes, behindProxy},
	{"no route to host", passes, behindProxy},
	{"unreachable", passes, behindProxy},
	{"unavailable", passes, behindProxy},
	{"upstream", passes, behindProxy},
	{"try again", passes, ""},
	{"limit exceeded", passes, limited},
	{"too many", passes, limited},
}
