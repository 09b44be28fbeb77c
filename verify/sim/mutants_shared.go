package main

// sharedMutants break what sets and readers stand on.
var sharedMutants = []mutant{
	{
		name:  "a set is released up to the first name that was lost",
		edits: []edit{{"verify/sim/scripts_several.go", "\t\tall = all && answer != int64(0)\n", "\t\tif answer == int64(0) {\n\t\t\treturn answer\n\t\t}\n"}},
		rule:  givesBack, runs: 5000, share: true,
	},
	{
		name:  "a set is taken where its first name is free",
		edits: []edit{{"verify/sim/scripts_several.go", "\tfor _, one := range all {\n\t\tif one.key(\"wait\")", "\tfor _, one := range all[:1] {\n\t\tif one.key(\"wait\")"}},
		rule:  ownKeysOnly, runs: 2000, share: true,
	},
	{
		name: "a set is granted where its first name is free, without the others",
		edits: []edit{
			{"verify/sim/scripts_several.go", "\t\tcase l.found && a.taken == 0:\n", "\t\tcase l.found && i > 0:\n\t\tcase l.found && a.taken == 0:\n"},
		},
		rule: oneHolder, runs: 2000, share: true,
	},
	{
		name: "an extension of a set counts where one name is held",
		edits: []edit{
			{"verify/sim/scripts_several.go", "\tif denied := s.denial(); denied != nil {\n", "\tholds := false\n\tfor _, one := range s.locks() {\n\t\theld, _ := one.held(one.key(\"lock\"))\n\t\tholds = holds || held == s.text(\"value\")\n\t}\n\tif denied := s.denial(); denied != nil && !holds {\n"},
			{"verify/sim/scripts_several.go", "\t\tone.pexpire(one.key(\"lock\"), s.number(\"ttl\"))\n", "\t\textend(one)\n"},
		},
		rule: stillHas, runs: 5000, share: true,
	},
	{
		name:  "a node takes a fencing token for a set that is too small for its second name",
		edits: []edit{{"verify/sim/scripts_several.go", "\t\tcase l.fence.refusal != 0:\n", "\t\tcase i == 0 && l.fence.refusal != 0:\n"}},
		rule:  readerToken, runs: 20000, share: true,
	},
	{
		name:  "a set passes the waiters in the queue of its second name",
		edits: []edit{{"verify/sim/scripts_several.go", "\t\tcase l.turn != nil && !l.turn.first:\n", "\t\tcase i == 0 && l.turn != nil && !l.turn.first:\n"}},
		rule:  fairOrder, runs: 20000, share: true,
	},
	{
		name: "an extension revives a reader that has ended",
		edits: []edit{{"verify/sim/scripts_shared.go", "func extendShared(s command) any {\n\th := s.shared()\n",
			"func extendShared(s command) any {\n\th := s.shared()\n\tif _, there := s.zscore(h.lock, s.text(\"value\")); there {\n\t\th.held = s.text(\"value\")\n\t}\n"}},
		rule: stillHas, runs: 5000, share: true,
	},
	{
		name:  "a new reader has the key expire with its own lease",
		edits: []edit{{"verify/sim/scripts_shared.go", "\t_, ends, _ := h.last(h.lock)\n\th.pexpireat(h.lock, ends)\n", "\th.pexpire(h.lock, h.number(\"ttl\"))\n"}},
		rule:  ownLease, runs: 2000, share: true,
	},
	{
		name:  "a reader that leaves has the key live on as before",
		edits: []edit{{"verify/sim/scripts_shared.go", "\t\t\th.pexpireat(h.lock, ends)\n\t\t\treturn false\n", "\t\t\treturn false\n"}},
		rule:  ownLease, runs: 2000, share: true,
	},
	{
		name:  "the last reader to come is the last to leave",
		edits: []edit{{"verify/sim/scripts_shared.go", "some && ends > h.now {", "some && ends < 0 {"}},
		rule:  ownKeysOnly, runs: 2000, share: true,
	},
	{
		name:  "a writer sees no readers",
		edits: []edit{{"verify/sim/scripts.go", "\tif until <= s.micros/1000 {\n", "\tif until > 0 {\n"}},
		rule:  ownKeysOnly, runs: 2000, share: true,
	},
	{
		name: "a reader joins a writer",
		edits: []edit{
			{"verify/sim/scripts_shared.go", "\tcase h.held != \"\":\n\t\tif !h.mine() {\n", "\tcase h.held != \"\" && !h.alone:\n\t\tif !h.mine() {\n"},
			{"verify/sim/scripts_shared.go", "\ts.zdrop(h.lock, h.now)\n\th.join()\n\treturn", "\tif h.alone {\n\t\ts.del(h.lock)\n\t}\n\ts.zdrop(h.lock, h.now)\n\th.join()\n\treturn"},
		},
		rule: ownKeysOnly, runs: 2000, share: true,
	},
	{
		name:  "a downgrade deletes the key, and the reader comes with the next request",
		edits: []edit{{"verify/sim/scripts_shared.go", "\tif h.alone {\n\t\ts.del(h.lock)\n\t\ts.del(s.key(\"intent\"))\n\t}\n\th.join()\n", "\tif h.alone {\n\t\ts.del(h.lock)\n\t\treturn int64(0)\n\t}\n\th.join()\n"}},
		rule:  carried, runs: 5000, share: true,
	},
	{
		name:  "a reader needs no majority",
		edits: []edit{{"redlock/attempt.go", "\twon := result.Outcome == quorum.Won && left > 0\n", "\twon := (result.Outcome == quorum.Won || shared && result.Yes > 0) && left > 0\n"}},
		rule:  carried, runs: 5000, share: true,
	},
	{
		name:  "readers pass writers in the wait queue",
		edits: []edit{{"verify/sim/scripts_queue.go", "\t\t\tif !reads || !isReader(t.head) {\n", "\t\t\tif !reads {\n"}},
		rule:  fairOrder, runs: 20000, share: true,
	},
	{
		name:  "a new reader is let in where a writer waits",
		edits: []edit{{"verify/sim/scripts_shared.go", "return h.find(h.key(\"intent\")) != nil }", "return false }"}},
		rule:  noNewReader, runs: 5000, share: true,
	},
	{
		name:  "a writer that found readers does not keep new ones out",
		edits: []edit{{"internal/waiting/attempt.go", "flag.Position.Intent = w.readers", "flag.Position.Intent = false"}},
		rule:  noStarving, runs: 5000, share: true,
	},
	{
		name:  "a reader's token is that of one node",
		edits: []edit{{"internal/fanout/result.go", "\t\t\tlargest = max(largest, a.LargestToken)\n", "\t\t\tlargest = a.LargestToken\n"}},
		rule:  readerToken, runs: 20000, share: true,
	},
	{
		name:  "extend_all.lua prolongs a set of which keys are gone",
		edits: []edit{{"internal/node/lua/all_held.lua", "return gone and 0 or nil", "return nil"}},
		rule:  stillHas, runs: 5000, real: true, share: true,
	},
	{
		name:  "acquire_shared.lua lets a reader in where a writer waits",
		edits: []edit{{"internal/node/lua/acquire_shared.lua", "if redis.call('EXISTS', KEYS.intent) == 1 then", "if false then"}},
		rule:  noNewReader, runs: 2000, real: true, share: true,
	},
	{
		name:  "join.lua has the key expire with the lease of the new reader",
		edits: []edit{{"internal/node/lua/join.lua", "redis.call('ZRANGE', KEYS.lock, '-1', '-1', 'WITHSCORES')[2]", "now + ARGV.ttl"}},
		rule:  ownLease, runs: 2000, real: true, share: true,
	},
	{
		name:  "release_all.lua deletes a set without looking who holds it",
		edits: []edit{{"internal/node/lua/release_all.lua", "if redis.pcall('GETRANGE', KEYS.lock, '0', '512') ~= value then", "if not value then"}},
		rule:  ownKeysOnly, runs: 2000, real: true, share: true,
	},
	{
		name:  "leave_last.lua says of a lock that others read that the reader has left",
		edits: []edit{{"internal/node/lua/leave_last.lua", "if two[1] == ARGV.value and not two[2] and not", "if two[1] and not"}},
		rule:  ownLease, runs: 5000, real: true, share: true,
	},
}
