package main

// lockMutants are the ways to break the lock. A script is broken in the model, where it is
// carried out here, and in its own text where that is what is run (--real).
var lockMutants = []mutant{
	{
		name:  "a release does not compare the value",
		edits: []edit{{"verify/sim/scripts_release.go", `ours := found && held == s.text("value")`, `ours := found && held != ""`}},
		rule:  ownKeysOnly, runs: 2000,
	},
	{
		name:  "an acquire does not look whether the key is free",
		edits: []edit{{"verify/sim/scripts.go", "\tif held, found := s.held(key); found {\n\t\treturn held\n\t}\n\ts.set(key, s.text(\"value\")", "\ts.set(key, s.text(\"value\")"}},
		rule:  ownKeysOnly, runs: 2000,
	},
	{
		name: "one nonce for all attempts of a call",
		edits: []edit{
			{"redlock/acquire.go", "\tlast   error           // what the last", "\tone    string\n\tlast   error           // what the last"},
			{"redlock/attempt.go", "\tclaim := l.group.NewClaimIn(&lock.storage, r.key, newValue(l.config.owner), r.nodeTimeout, ",
				"\tif r.one == \"\" {\n\t\tr.one = newValue(l.config.owner)\n\t}\n\tclaim := l.group.NewClaimIn(&lock.storage, r.key, r.one, r.nodeTimeout, "},
		},
		rule: carried, runs: 5000,
	},
	{
		name: "validity counts from the reply",
		edits: []edit{{"redlock/attempt.go", "\telapsed, left := now.Since(start), lock.lease.Remaining(now)\n",
			"\tlock.lease.Start(l.keeper, lock.grant(r.values, r.scoped), l.terms(r.settings), now)\n\telapsed, left := now.Since(now), lock.lease.Remaining(now)\n"}},
		rule: carried, runs: 2000,
	},
	{
		name: "validity counts from the last send",
		edits: []edit{{"redlock/attempt.go", "\tresult, decided := l.ask(ctx, r, claim).Wait(ctx)\n",
			"\tround := l.ask(ctx, r, claim)\n\tstart = l.clock.Read()\n\tlock.lease.Start(l.keeper, lock.grant(r.values, r.scoped), l.terms(r.settings), start)\n\tresult, decided := round.Wait(ctx)\n"}},
		rule: carried, runs: 20000,
	},
	{
		name:  "the drift is added",
		edits: []edit{{"internal/quorum/quorum.go", "return ttl - Drift(ttl, factor)", "return ttl + Drift(ttl, factor)"}},
		rule:  carried, runs: 2000,
	},
	{
		name:  "the drift is forgotten",
		edits: []edit{{"internal/quorum/quorum.go", "return ttl - Drift(ttl, factor)", "return ttl"}},
		rule:  carried, runs: 5000,
	},
	{
		name:  "half of the nodes are a majority",
		edits: []edit{{"internal/quorum/quorum.go", "func Majority(n int) int { return n/2 + 1 }", "func Majority(n int) int { return max(n/2, 1) }"}},
		rule:  carried, runs: 2000,
	},
	{
		name:  "an unknown outcome ends before the key that it may leave",
		edits: []edit{{"internal/fanout/node_state_proof.go", "return s.unknownIsOver(n, time.Now(), s.keyLifetime) &&", "return s.unknownIsOver(n, time.Now(), 0) &&"}, {"internal/fanout/node_state.go", "s.noteMayLive(a.At.Add(s.keyLifetime).Add(life))", "s.noteMayLive(a.At.Add(s.keyLifetime))"}},
		rule:  noOrphan, runs: 200000,
	},
	{
		name: "an extension sets a key that is gone",
		edits: []edit{{"verify/sim/scripts.go", "\tcase !found:\n\t\treturn int64(0)\n",
			"\tcase !found:\n\t\ts.set(key, s.text(\"value\"), s.number(\"ttl\"))\n\t\treturn int64(1)\n"}},
		rule: noRetaken, runs: 20000,
	},
	{
		name: "an expired lock may be extended",
		edits: []edit{
			{"redlock/extend.go", "\tif cause := k.lease.EndIfExpired(callerKnows); cause != nil {\n\t\treturn k.notHeld", "\tif cause := k.lease.EndIfExpired(false); false {\n\t\treturn k.notHeld"},
			{"redlock/extend.go", "\tif cause := k.lease.EndIfExpired(callerKnows); cause != nil {\n\t\tif cause != ErrReleased", "\tif cause := k.lease.EndIfExpired(false); false {\n\t\tif cause != ErrReleased"},
		},
		rule: noRevival, runs: 5000,
	},
	{
		name: "a retaken node counts at once",
		edits: []edit{{"internal/fanout/round.go", "\tcase node.Taken, node.Queued, node.TokenTooSmall, node.Absent:\n\t\tr.tally.No++\n",
			"\tcase node.Absent:\n\t\tif r.request.Verb == node.Extend {\n\t\t\tr.tally.Yes++\n\t\t} else {\n\t\t\tr.tally.No++\n\t\t}\n\tcase node.Taken, node.Queued, node.TokenTooSmall:\n\t\tr.tally.No++\n"}},
		rule: noRetaken, or: carried, runs: 5000,
	},
	{
		name: "an answered release proves that nothing comes later",
		edits: []edit{{"internal/fanout/node_state_proof.go", "func (s *nodeState) unknownIsOver(n *node.Node, by time.Time, margin time.Duration) bool {\n\tswitch {\n",
			"func (s *nodeState) unknownIsOver(n *node.Node, by time.Time, margin time.Duration) bool {\n\tswitch {\n\tcase true:\n\t\treturn true\n"}},
		rule: noOrphan, runs: 5000,
	},
	{
		name: "every silence restarts an unknown outcome",
		edits: []edit{{"internal/fanout/node_state_proof.go", "min(p.LastSilence, s.keyLifetime)\n\treturn p.Answers && p.LastAnswer.After(s.unknownSince) && longEnough && (outlastedSilence || answered >= 2*s.keyLifetime)",
			"s.keyLifetime\n\treturn p.Answers && p.LastAnswer.After(s.unknownSince) && longEnough && outlastedSilence"}},
		rule: closingEnds, runs: 100000,
	},
	{
		name: "only nodes that answered are rolled back",
		edits: []edit{{"internal/fanout/node_state.go", "\t\ts.maybeSet = true\n\t\tswitch {\n\t\tcase verb == node.Extend:",
			"\t\tswitch {\n\t\tcase verb == node.Extend:"}},
		rule: noOrphan, runs: 5000,
	},
	{
		name: "nothing is rolled back once the caller's context has ended",
		edits: []edit{{"redlock/attempt.go", "\tif !decided {\n\t\tclaim.RollBackForRetry() // the callers behind keep the position\n",
			"\tif !decided {\n"}},
		rule: noOrphan, runs: 5000,
	},
	{
		name:  "the context ends with the TTL",
		edits: []edit{{"internal/lease/state.go", "s.validity = s.capped(quorum.Validity(terms.TTL, terms.Drift))", "s.validity = s.capped(terms.TTL)"}},
		rule:  carried, runs: 5000,
	},
	{
		name: "no deadline while an extension is in flight",
		edits: []edit{{"internal/lease/lease.go", "\treturn l.state.extension(sent)\n",
			"\tif l.timer != nil {\n\t\tl.timer.Stop()\n\t}\n\treturn l.state.extension(sent)\n"}},
		rule: endsInTime, runs: 2000,
	},
	{
		name: "a waiter receives no wake-up and never retries",
		edits: []edit{{"internal/waiting/await.go", "\ttimer := time.NewTimer(max(time.Until(at), 1)) // not 0",
			"\ttimer := time.NewTimer(1000 * time.Hour) // not 0"}},
		rule: progress, runs: 2000,
	},
	{
		name:  "tickets are counted by each process for itself",
		edits: []edit{{"internal/waiting/tickets.go", "next.ticket = max(largest, q.drawn) + 1", "next.ticket = int64(next.seq)"}},
		rule:  fairOrder, runs: 20000,
	},
	{
		name:  "dead waiters keep their position in the wait queue",
		edits: []edit{{"verify/sim/scripts_queue.go", "err == nil && end > s.micros/1000 {\n\t\t\tif !reads", "err == nil && end > 0 {\n\t\t\tif !reads"}},
		rule:  progress, runs: 20000,
	},
	{
		name:  "a waiter that reaches too few nodes keeps its position",
		edits: []edit{{"internal/waiting/attempt.go", "if w.apart = w.isApart(); w.apart {", "if w.apart = w.isApart(); false {"}},
		rule:  progress, runs: 20000,
	},
	{
		name:  "a release by another client drops the position leases of an empty wait queue",
		edits: []edit{{"verify/sim/scripts_release.go", "\t\tif !free {\n\t\t\treturn deleted\n\t\t}\n\t\tif !strings.HasSuffix(s.key(\"wait\"), \"/}:wait\") && s.find(queue) == nil {\n\t\t\ts.del(lease)\n\t\t}\n", "\t\tif s.find(queue) == nil {\n\t\t\ts.del(lease)\n\t\t}\n\t\tif !free {\n\t\t\treturn deleted\n\t\t}\n"}},
		rule:  ownPosition, runs: 1000,
	},
	{
		name:  "a node accepts a fencing token that is too small",
		edits: []edit{{"verify/sim/fence.go", "\tcase f.token <= known, f.token <= s.micros-1000*f.life:\n\t\tf.refusal = lua.TooSmall\n", ""}},
		rule:  tokensGrow, runs: 20000,
	},
	{
		name:  "a node that knows a larger fencing token grants the lock",
		edits: []edit{{"verify/sim/fence.go", "\t\tf.refusal = lua.TooSmall\n", "\t\tf.token = known\n"}},
		rule:  tokensGrow, runs: 20000,
	},
	{
		name:  "no node stores a token",
		edits: []edit{{"verify/sim/fence.go", "\tif f.on {\n\t\tahead :=", "\tif false {\n\t\tahead :="}},
		rule:  tokensGrow, or: readerToken, runs: 20000,
	},
	{
		name: "every node counts, and the token is the largest count",
		edits: []edit{
			{"verify/sim/fence.go", "\tswitch {\n\tcase retake:", "\tf.token = known + 1\n\tf.granted = f.token + 1 // 1 says nothing\n\tswitch {\n\tcase true:\n\tcase retake:"},
			{"redlock/attempt.go", "\t\tclaim.RetakeUntil(time.Now()", "\t\tif r.fencing {\n\t\t\tlock.token = 0\n\t\t\tfor i := range l.group.Len() {\n\t\t\t\tif a, said := result.Answer(i); said && a.Status == 1 {\n\t\t\t\t\tlock.token = max(lock.token, a.Micros)\n\t\t\t\t}\n\t\t\t}\n\t\t}\n\t\tclaim.RetakeUntil(time.Now()"},
		},
		rule: tokensGrow, or: readerToken, runs: 20000,
	},
	{
		name:  "the marker is not checked",
		edits: []edit{{"verify/sim/guard.go", "\tif known != run {\n", "\tif known == \"\" {\n"}},
		rule:  carried, runs: 5000,
	},
	{
		name:  "a quarantine is shorter than the TTL",
		edits: []edit{{"internal/fanout/group.go", "Quarantine: quorum.Lifetime(longest, drift)", "Quarantine: longest / 2"}},
		rule:  carried, runs: 5000,
	},
	{
		name:  "drop.lua does not compare the value",
		edits: []edit{{"internal/node/lua/drop.lua", "if held == ARGV.value then", "if held then"}},
		rule:  ownKeysOnly, runs: 1000, real: true,
	},
	{
		name:  "fence.lua accepts a token that is too small",
		edits: []edit{{"internal/node/lua/fence.lua", "elseif token <= known or ahead <= ARGV.tokenTTL * -1000 then", "elseif false then"}},
		rule:  tokensGrow, runs: 5000, real: true,
	},
	{
		name:  "guard.lua does not check the marker",
		edits: []edit{{"internal/node/lua/guard.lua", "if not known or not string.find(info, 'run_id:' .. known .. '\\r', 1, true) then", "if not known then"}},
		rule:  carried, runs: 1000, real: true,
	},
	{
		name:  "a clock that is set counts for a round trip",
		edits: []edit{{"redlock/attempt.go", "took := min(now.Mono-start.Mono, r.patience())", "took := elapsed"}},
		rule:  progress, runs: 5000,
	},
	{
		name:  "a connection that ended leaves no unknown outcome",
		edits: []edit{{"internal/fanout/node_state.go", "\tif a.SentBefore {\n\t\ts.maybeSet = true\n", "\tif false {\n\t\ts.maybeSet = true\n"}},
		rule:  noOrphan, runs: 5000,
	},
	{
		name:  "a call that found no connection is in flight for ever",
		edits: []edit{{"internal/fanout/node_state.go", "\tif verb.Sets() {\n\t\ts.outstanding--\n", "\tif verb.Sets() {\n\t\tif !node.NothingDone(verb, a.Err) {\n\t\t\ts.outstanding--\n\t\t}\n"}},
		rule:  closingEnds, runs: 5000,
	},
	{
		name:  "every error reply proves that nothing was done",
		edits: []edit{{"internal/node/proof.go", "return errors.As(err, &e) && (refusedBeforeScript", "return errors.As(err, &e) && (true || refusedBeforeScript"}},
		rule:  noOrphan, runs: 30000,
	},
	{
		name:  "a split vote is an answer",
		edits: []edit{{"redlock/repeat.go", "return !o.ours && !o.tokenTooSmall && !o.split", "return !o.ours && !o.tokenTooSmall"}},
		rule:  oneGets, runs: 2000,
	},
	{
		name:  "nodes that deny the lock prove that it is held",
		edits: []edit{{"internal/fanout/result.go", "2*most <= r.Nodes-r.Failed &&", "2*most <= r.Yes+r.No &&"}},
		rule:  oneGets, runs: 400000,
	},
	{
		name:  "a server that is read-only for a while ends a wait",
		edits: []edit{{"internal/node/refusals.go", "{\"READONLY\", passes,", "{\"READONLY\", lasts,"}},
		rule:  noSendAway, runs: 20000,
	},
	{
		name:  "a connection to a server that is no master any more is kept",
		edits: []edit{{"pool/errors.go", "return ok && (strings.Contains", "return ok && false && (strings.Contains"}},
		rule:  progress, runs: 2000, real: true,
	},
	{
		name:  "a subscription goes on after Close",
		edits: []edit{{"internal/listen/subscription.go", "\ts.clear()\n\ts.cancel()\n\treturn s.ended\n", "\treturn nil\n"}},
		rule:  nothingLeft, runs: 2000,
	},
}
