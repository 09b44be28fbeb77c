package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// folder is that of the tests.
const folder = "./test/servers"

// chosen are those of them that ask a server what no other one answers in its
// place: replies, rights, refusals, restarts, wake-ups.
var chosen = []string{
	"TestRealServersMiniredisAndTheModelAnswerAlike", "TestRealServersAndMiniredisKeepTheSameWaitQueue",
	"TestRealServersMiniredisAndTheModelTakeTheSameTokens", "TestAGrantReturnsTheTimeIfItIsNew",
	"TestShortTTLsExpireOnTimeAndNeverBefore", "TestTheNativeAndTheScriptedAcquireExcludeEachOther",
	"TestANodeOutOfMemoryIsNamedAndTheOthersCarryTheLock", "TestAReadOnlyReplicaIsNoMaster",
	"TestAWrongPasswordFailsAtOnceAndSaysWhatToDo", "TestAnACLUserWithoutScriptsTakesNoLockAndTheErrorSaysWhatReleasingNeeds",
	"TestAnACLUserNeedsNoMoreThanTheDocumentedRights", "TestTheRightsInSecurityAreEnough",
	"TestAScriptThatIsRefusedHalfwayLeavesNoKey", "TestScriptsThatTheServersForgotAreSentAgain",
	"TestADataKeyOfTheLocksNameIsReportedAndNotTouched", "TestALargeTextUnderTheLocksNameIsReportedAndNotMoved",
	"TestNodesOfAClusterAreRefusedWithTheReason", "TestAKilledNodeOfThreeIsDoneWithout",
	"TestAMasterThatMayHaveForgottenLocksGrantsNoneUntilTheyHaveExpired", "TestReleaseWakesAWaiterOfAnotherProcess",
	"TestAUserWithoutChannelsWaitsByAskingAgain", "TestWhereScriptsAreRefusedNativeCommandsLock",
	"TestWhatAServerRepeatsOfArgumentsIsNeitherReturnedNorLoggedNorReported", "TestCheckOfHealthyServersFindsNothingAndLeavesNothing",
	"TestCheckNamesTheRightsThatAreMissing", "TestTheRemediesOfACheckGiveTheRights", "TestCheckSeesReplicasAndSentinels",
	"TestANodeGrantsAllOfSeveralKeysOrNone", "TestSetsAndSingleNamesExcludeEachOther",
	"TestReadersShareAndWritersHoldAlone", "TestRealServersMiniredisAndTheModelShareALockAlike", "TestAReaderThatHasEndedIsNotRevived",
	"TestOtherDataIsNoLockOfReaders", "TestADowngradeWithoutTheRightToItKeepsTheLock",
	"TestNoSlotHasTwoHolders", "TestRealServersMiniredisAndTheModelTakeTheSameSlots", "TestAnAttemptThatIsSentAgainHasTheSlotThatItHas",
}

// tools are the programs that are run against each server.
type tools struct{ tests, redlock string }

func build(dir string) (*tools, error) {
	t := &tools{filepath.Join(dir, "servers.test"), filepath.Join(dir, "redlock")}
	for _, args := range [][]string{{"test", "-c", "-o", t.tests, folder}, {"build", "-o", t.redlock, "./cmd/redlock"}} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, out)
		}
	}
	there, err := exec.Command(t.tests, "-test.list", ".").Output()
	if err != nil {
		return nil, err
	}
	for _, test := range chosen {
		if !slices.Contains(strings.Fields(string(there)), test) {
			return nil, fmt.Errorf("%s is no test of %s: correct the list in servers/suite.go", test, folder)
		}
	}
	return t, nil
}

// suite is what became of the tests.
type suite struct {
	passed          int
	failed, skipped []string
}

func (s suite) String() string {
	if s.passed+len(s.failed)+len(s.skipped) == 0 {
		return "none"
	}
	text := fmt.Sprintf("%d passed", s.passed)
	if len(s.failed) > 0 {
		text += fmt.Sprintf(", %d failed: %s", len(s.failed), strings.Join(s.failed, ", "))
	}
	if len(s.skipped) > 0 {
		text += fmt.Sprintf(", %d skipped: %s", len(s.skipped), strings.Join(s.skipped, ", "))
	}
	return text
}

// try runs all on one server.
func (t *tools) try(s *server) error {
	if err := os.Setenv("REDIS_SERVER", s.program); err != nil {
		return err
	}
	if err := t.ask(s); err != nil {
		return err
	}
	var nodes []string
	for range 3 {
		node, err := redisproc.Launch(redisproc.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
		if err != nil {
			return err
		}
		defer node.Stop()
		nodes = append(nodes, "redis://"+node.Addr())
	}
	s.doctor = t.diagnose(nodes...)
	var err error
	s.suite, err = t.run(chosen...)
	return err
}

// ask asks all questions, each of a server of its own.
func (t *tools) ask(s *server) error {
	for _, q := range questions {
		begin := func(args ...string) (*redisproc.Server, error) {
			return redisproc.Launch(redisproc.Options{Args: args})
		}
		proc, err := begin(q.args...)
		if err != nil {
			s.replies = append(s.replies, "it does not start")
			fmt.Printf("%s: %s: %v\n", s.name, q.about, err)
			continue
		}
		s.replies = append(s.replies, q.ask(&subject{addr: proc.Addr(), start: begin}))
		proc.Stop()
	}
	return nil
}

// inMemory asks miniredis, which takes no arguments.
func inMemory(t *tools) (*server, error) {
	s := &server{name: "miniredis", from: "go.mod"}
	cluster, err := redlocktest.Start(3)
	if err != nil {
		return nil, err
	}
	defer cluster.Close()
	var nodes []string
	for _, addr := range cluster.Addrs() {
		nodes = append(nodes, "redis://"+addr)
	}
	s.doctor = t.diagnose(nodes...)
	for _, q := range questions {
		if q.real || len(q.args) > 0 {
			s.replies = append(s.replies, notTried)
			continue
		}
		one, err := redlocktest.Start(1)
		if err != nil {
			return nil, err
		}
		s.replies = append(s.replies, q.ask(&subject{addr: one.Addrs()[0]}))
		one.Close()
	}
	return s, nil
}

// diagnose returns the findings of the doctor in a line.
func (t *tools) diagnose(nodes ...string) string {
	time.Sleep(5 * time.Second)                                                     // for less than a TTL a server could have forgotten locks
	args := []string{"doctor", "--json", "--ttl", "4s", "--node-timeout", "1500ms"} // the machine may be busy
	for _, node := range nodes {
		args = append(args, "--node", node)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, t.redlock, args...).Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return err.Error()
	}
	var report struct {
		Worst    string
		Findings []struct{ Severity, Check, Seen string }
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return err.Error()
	}
	said := []string{"worst is a " + report.Worst}
	if report.Worst == "note" {
		return "healthy"
	}
	for _, f := range report.Findings {
		line := f.Severity + ": " + f.Check + ": " + f.Seen
		if f.Severity != "note" && !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	return strings.Join(said[1:], "; ")
}

// run runs tests.
func (t *tools) run(tests ...string) (suite, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, t.tests, "-test.v", "-test.run", "^("+strings.Join(tests, "|")+")$", "-test.parallel", "4")
	command.Dir = folder // they read files of the project
	out, err := command.Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return suite{}, err
	}
	if name := os.Getenv("SERVERS_LOG"); name != "" { // to look at
		file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return suite{}, err
		}
		defer file.Close()
		fmt.Fprintf(file, "== %s\n%s", os.Getenv("REDIS_SERVER"), out)
	}
	var s suite
	for line := range strings.Lines(string(out)) {
		what, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimRight(line, "\n"), "--- "), ": ")
		name, _, _ = strings.Cut(name, " (")
		if !strings.HasPrefix(line, "--- ") {
			continue
		}
		switch what {
		case "PASS":
			s.passed++
		case "FAIL":
			s.failed = append(s.failed, name)
		case "SKIP":
			s.skipped = append(s.skipped, name)
		}
	}
	return s, nil
}
