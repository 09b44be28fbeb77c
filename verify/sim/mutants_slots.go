package main

// slotMutants break what semaphores stand on.
var slotMutants = []mutant{
	{
		// The semaphore that counts: a server admits as many as there are slots, whichever they have.
		name:  "COUNT_ANY: a permit is a majority of nodes that grant some slot",
		edits: []edit{{"internal/fanout/round.go", "\t\tif r.request.Grant() == node.AnyKey && r.request.Verb.Takes() {\n", "\t\tif false {\n"}},
		rule:  carried, runs: 100, slots: true,
	},
	{
		name: "a slot that only some nodes have granted is left there until the release",
		edits: []edit{
			{"internal/fanout/claim_slot.go", "\tif found {\n\t\tc.sendDrops(drops)\n", "\tif false && found {\n\t\tc.sendDrops(drops)\n"},
			{"internal/fanout/claim_slot.go", "\tdue := s.giveBack && !c.released\n", "\tdue := false\n"},
		},
		rule: noStray, runs: 200, slots: true,
	},
	{
		name:  "a release gives back the slot of the permit, and none that a node may have granted besides",
		edits: []edit{{"internal/fanout/claim_slot.go", "\t\tif s.stray || s.inFlight != nil &&", "\t\tif false && s.inFlight != nil &&"}},
		rule:  noOrphan, runs: 2000, slots: true,
	},
	{
		name:  "a node grants a slot that is taken",
		edits: []edit{{"verify/sim/scripts_slots.go", "c.slot == 0 && !c.taken[i] {", "c.slot == 0 {"}},
		rule:  ownKeysOnly, runs: 100, slots: true,
	},
	{
		name: "an attempt that is sent again takes a second slot",
		edits: []edit{{"verify/sim/scripts_slots.go", "func (s command) anyFree() *choice {\n\tc := s.any()\n",
			"func (s command) anyFree() *choice {\n\tc := s.any()\n\tc.held, c.found, c.slot = \"\", false, 0\n"}},
		rule: oneSlot, runs: 100, slots: true,
	},
	{
		name:  "a release deletes all slots",
		edits: []edit{{"verify/sim/scripts_slots.go", "found && value == s.text(\"value\") {", "found && value != \"\" {"}},
		rule:  ownKeysOnly, runs: 100, slots: true,
	},
	{
		name:  "a node does not remember the fencing token of a slot",
		edits: []edit{{"verify/sim/scripts_slots.go", "\tc.fence.remember()\n", ""}},
		rule:  readerToken, runs: 2500, slots: true,
	},
	{
		name:  "a node grants a slot with a fencing token that is too small",
		edits: []edit{{"verify/sim/scripts_slots.go", "\tif !c.found && c.fence.refusal == 0 {\n", "\tif !c.found {\n"}},
		rule:  tokensGrow, runs: 2500, slots: true,
	},
	{
		name:  "every caller has three slots, whatever it asks for",
		edits: []edit{{"redlock/slots.go", "\tfor i := range slots {\n", "\tfor i := range max(slots, 3) {\n"}},
		rule:  ownSlot, runs: 100, slots: true,
	},
	{
		name:  "a caller of a semaphore passes the waiters in its queue",
		edits: []edit{{"verify/sim/scripts_slots.go", "!c.found && turn.first && c.fence", "!c.found && c.fence"}},
		rule:  fairOrder, runs: 400, slots: true,
	},
	{
		name:  "the release of a slot drops the position leases of the others",
		edits: []edit{{"verify/sim/scripts_release.go", "!strings.HasSuffix(s.key(\"wait\"), \"/}:wait\") && ", "!strings.HasSuffix(s.key(\"wait\"), \"no\") && "}},
		rule:  ownPosition, runs: 200, slots: true,
	},
	{
		name:  "each node begins with another slot",
		edits: []edit{{"verify/sim/scripts_slots.go", "\tfirst := int(s.number(\"first\"))\n", "\tfirst := int(s.micros % 1000)\n"}},
		rule:  progress, runs: 1000, slots: true,
	},
	{
		name: "any_free.lua grants a slot that is taken",
		edits: []edit{
			{"internal/node/lua/any_free.lua", "if not values[at] then", "if true then"},
			{"internal/node/lua/any_free.lua", "== CODE.free then", "and true then"}, // it has a value, or is no text
		},
		rule: ownKeysOnly, runs: 100, real: true, slots: true,
	},
	{
		name:  "any.lua does not find the slot that the value has",
		edits: []edit{{"internal/node/lua/any_free.lua", "local left\nlocal at", "local left\nheld, slot = false, nil\nlocal at"}},
		rule:  oneSlot, runs: 100, real: true, slots: true,
	},
	{
		name:  "drop_any.lua deletes all slots",
		edits: []edit{{"internal/node/lua/drop_any.lua", "if value == ARGV.value then", "if value then"}},
		rule:  ownKeysOnly, runs: 100, real: true, slots: true,
	},
	{
		name:  "take_slot.lua does not remember the token",
		edits: []edit{{"internal/node/lua/take_slot.lua", "if one.remember then", "if false then"}},
		rule:  readerToken, runs: 100, real: true, slots: true,
	},
	{
		name:  "acquire_any_in_turn.lua passes the waiters in the queue",
		edits: []edit{{"internal/node/lua/acquire_any_in_turn.lua", "if held or not first or one.refusal then", "if held or one.refusal then"}},
		rule:  fairOrder, runs: 800, real: true, slots: true,
	},
}
