package main

// valueMutants break what elections and boards stand on: a rule of internal/register, of package
// election, or of the scripts.
var valueMutants = []mutant{
	{
		name:  "NO_WRITEBACK: a read returns what one node has",
		edits: []edit{{"internal/register/register.go", "if v.Confirmed = have >= r.Group.Majority() || newest.Version == (node.Version{}); v.Confirmed {", "if v.Confirmed = true; v.Confirmed {"}},
		rule:  neverBack, runs: 5000, value: true,
	},
	{
		name: "ONE_TRIP: a publish proposes the time, and repeats with a larger one",
		edits: []edit{
			{"internal/register/write.go", `	v, err := r.larger(ctx, op, path, key)
	if err != nil {
		return node.Version{}, err
	}
`, "\tv := node.Version{Term: time.Now().UnixMicro(), Writer: randomWriter()}\nagain:\n"},
			{"internal/register/write.go", "\tswitch {\n\tcase stored == nil:\n", `	refused := false
	for _, a := range stored {
		if record := a.Record(); a.Err == nil && a.Status == node.Superseded && record.Compare(v) > 0 {
			v, refused = next(record.Version, 0, v.Writer), true
		}
	}
	if refused {
		goto again
	}
	switch {
	case stored == nil:
`},
		},
		rule: oneVersion, runs: 20000, value: true,
	},
	{
		name:  "one answer is enough",
		edits: []edit{{"internal/register/register.go", "return answered(answers) >= r.Group.Majority()", "return answered(answers) >= 1"}},
		rule:  laterVersion, runs: 5000, value: true,
	},
	{
		name:  "a version is the time of the nodes, though a larger one is known",
		edits: []edit{{"internal/register/write.go", "if micros > seen.Term {", "if micros > 0 {"}},
		rule:  laterVersion, runs: 5000, value: true,
	},
	{
		name: "a value that one node has is published",
		edits: []edit{
			{"internal/register/write.go", "\t\treturn taken(answers, all) >= r.Group.Majority()\n", "\t\treturn taken(answers, all) >= 1\n"},
			{"internal/register/write.go", "case taken(stored, all) < r.Group.Majority():", "case taken(stored, all) < 1:"},
		},
		rule: foundLater, runs: 5000, value: true,
	},
	{
		name:  "what a holder publishes counts where a later value is",
		edits: []edit{{"internal/register/write.go", "\t\t\treturn node.Version{}, ErrSuperseded\n", "\t\t\treturn v, nil\n"}},
		rule:  laterVersion, runs: 20000, value: true,
	},
	{
		name:  "a smaller version replaces a larger one",
		edits: []edit{{"verify/sim/published.go", "\tif order > 0 || order == 0 && before", "\tif order != 0 || order == 0 && before"}},
		rule:  oneVersion, runs: 5000, value: true,
	},
	{
		name: "VALUE_WITH_ACQUIRE: the first value goes with the acquisition, and a leader is shown that one node names",
		edits: append(valueWithAcquire,
			edit{"internal/register/led.go", "\tif nodes < r.Group.Majority() {\n", "\tif nodes < 1 {\n"},
			edit{"election/leadership.go", "\terr := s.insist(ctx, func() error {\n", "\tunread := func(context.Context, func() error) error { return nil }\n\terr := unread(ctx, func() error {\n"},
			previousUnseen, foundUnseen),
		rule: wasElected, runs: 20000, value: true,
	},
	{
		name:  "a leader takes the first value that went with the acquisition for the former one",
		edits: valueWithAcquire,
		rule:  previousIs, runs: 2000, value: true,
	},
	{
		name:  "a leader is shown that one node names",
		edits: []edit{{"internal/register/led.go", "\tif nodes < r.Group.Majority() {\n", "\tif nodes < 1 {\n"}},
		rule:  leadsNow, runs: 5000, value: true,
	},
	{
		name:  "PROCLAIM_WITHOUT_NONCE: a node stores what a former leader proclaims",
		edits: []edit{{"verify/sim/published.go", "!found || held != s.text(\"value\")", "!found && held != \"\""}},
		rule:  asHolder, runs: 5000, value: true,
	},
	{
		name:  "if_held.lua stores what a former leader proclaims",
		edits: []edit{{"internal/node/lua/if_held.lua", "if held ~= ARGV.value then", "if held == 0 then"}},
		rule:  asHolder, runs: 2000, real: true, value: true,
	},
	{
		name: "a leader that repeats its first value reads the former one again",
		edits: []edit{{"election/leadership.go", "func() error { return s.Proclaim(ctx, value) })\n", `func() error {
			former, err := e.registers.Former(ctx, "campaign", e.name, s.writer)
			if err != nil {
				return err
			}
			s.previous = leader(former)
			return s.Proclaim(ctx, value)
		})
`}},
		rule: previousIs, runs: 5000, value: true,
	},
	{
		name:  "a campaign whose term ended is rejected",
		edits: []edit{{"election/leadership.go", "return fmt.Errorf(\"election: campaign %q: %w: %w\", s.election.name, redlock.ErrNotHeld, err)", "return err"}},
		rule:  noSendAway, runs: 5000, value: true,
	},
	{
		name:  "IsLeader reads no clock",
		edits: []edit{{"election/leadership.go", "\t_ = c.lock.Err()\n", ""}},
		rule:  isLeader, runs: 2000, value: true,
	},
	{
		name: "a watcher is told what one node has, newer or not",
		edits: []edit{
			{"internal/register/register.go", "if v.Confirmed = have >= r.Group.Majority() ||", "if v.Confirmed = op == \"watch\" || have >= r.Group.Majority() ||"},
			{"internal/register/watch.go", "\tcase version != node.Version{} && version.Compare(w.newest) < 0:\n\t\treturn\n", ""},
		},
		rule: watcherBack, runs: 20000, value: true,
	},
	{
		name:  "a new watcher is told what was read before it came",
		edits: []edit{{"internal/register/topic.go", "\t\tif w.after < number {\n", "\t\tif number > 0 {\n"}},
		rule:  foundLater, runs: 20000, value: true,
	},
	{
		name:  "a path is read only when a message comes",
		edits: []edit{{"internal/register/topic.go", "backstop = time.Second", "backstop = 1000 * time.Hour"}},
		rule:  seesNewest, runs: 5000, value: true,
	},
}

// valueWithAcquire has a campaign send its first value together with the request for the lock.
var valueWithAcquire = []edit{
	{"election/election.go", "take(ctx, e.name, e.options...)", "take(context.WithValue(ctx, \"value\", value), e.name, e.options...)"},
	{"redlock/attempt.go", "\t\"github.com/quorumlock/quorumlock/internal/quorum\"\n", "\t\"github.com/quorumlock/quorumlock/internal/node\"\n\t\"github.com/quorumlock/quorumlock/internal/quorum\"\n\t\"github.com/quorumlock/quorumlock/internal/register\"\n"},
	{"redlock/attempt.go", "\tresult, decided := l.ask(ctx, r, claim).Wait(ctx)\n", `	round := l.ask(ctx, r, claim)
	if text, campaigns := ctx.Value("value").(string); campaigns {
		w := register.NewWriter(claim, lock.token, register.WriterID(claim.Value()), func() error { return nil })
		go l.registers.Proclaim(ctx, r.name, w, text, 48*time.Hour, func(int, node.Version) {})
	}
	result, decided := round.Wait(ctx)
`},
}

// These have the run go on where a rule sees what a mutant leads to, to what else follows from it.
var (
	previousUnseen = edit{"verify/sim/elected.go", "if p.version.Term < int64(t.number) &&", "if false &&"}
	foundUnseen    = edit{"verify/sim/elected.go", "if p.at < begun &&", "if false &&"}
)
