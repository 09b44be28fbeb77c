package node

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

func TestErrorsThatComeBeforeExecutionProveThatNothingWasDone(t *testing.T) {
	for _, text := range []string{
		"NOPERM this user has no permissions to run the 'evalsha' command",
		"NOPERM No permissions to access a key",
		"NOAUTH Authentication required.",
		"WRONGPASS invalid username-password pair or user is disabled.",
		"WRONGTYPE Operation against a key holding the wrong kind of value",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"READONLY You can't write against a read only replica.",
		"ERR READONLY You can't write against a read only replica.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"LOADING Redis is loading the dataset in memory",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
		"BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
		"NOSCRIPT No matching script.",
		"NOREPLICAS Not enough good replicas to write.",
		"MOVED 3999 127.0.0.1:6381", "ASK 3999 127.0.0.1:6381", "TRYAGAIN Multiple keys request during rehashing of slot",
		"CROSSSLOT Keys in request don't hash to the same slot", "CLUSTERDOWN Hash slot not served",
		"DENIED Redis is running in protected mode because protected mode is enabled",
		"ERR unknown command 'EVALSHA', with args beginning with: 'x'",
		"ERR wrong number of arguments for 'set' command", "ERR syntax error",
		"ERR max number of clients reached",
		"ERR Could not find scripting engine 'lua'",
		"GUARDQUARANTINE this server may have forgotten locks", "GUARDMISMATCH others lock here",
		string(errBehind),
		"ERR Error running script (call to f_1234): @user_script:8: @user_script: 8: -OOM command not allowed when used memory > 'maxmemory'.",
		"ERR ACL failure in script: User worker has no permissions to run the 'get' command script: 1234, on @user_script:1.",
		"ERR Unknown Redis command called from script script: 1234, on @user_script:1.",
	} {
		for _, verb := range []Verb{Acquire, AcquireOrFlag, AcquireInTurn, Extend} {
			if !NothingDone(verb, fmt.Errorf("wrapped: %w", pool.Error(text))) {
				t.Errorf("%v: %q does not", verb, text)
			}
		}
		if !(Answer{Err: pool.Error(text)}).Answered() {
			t.Errorf("%q is no answer of the server", text)
		}
	}
	for _, err := range []error{ErrBusy, fmt.Errorf("%w: %w", pool.ErrNotSent, io.EOF), fmt.Errorf("%w: %w", pool.ErrNotSent, pool.Error("ERR anything"))} {
		if !NothingDone(Acquire, err) {
			t.Errorf("%v does not", err)
		}
	}
}

func TestAnyOtherErrorIsAnUnknownOutcomeAndNoAnswerOfTheServer(t *testing.T) {
	for _, text := range []string{
		"ERR Connection timed out", "ERR Connection refused", "ERR Host is down", "ERR Server closed connection", // twemproxy
		"upstream failure", "no upstream host", "upstream protocol error", // Envoy
		"ERR server connection close", "ERR backend timeout", "TIMEOUT", "ERR", "", "-",
		"UNKILLABLE Sorry the script already executed write commands against the dataset.",
		"ERR timeout while waiting for BUSY backend", "ERR request to READONLY failed",
	} {
		err := pool.Error(text)
		if NothingDone(Acquire, err) || (Answer{Err: err}).Answered() {
			t.Errorf("%q counts as a refusal", text)
		}
	}
	for _, err := range []error{io.EOF, errors.New("READONLY"), noAnswer{pool.Error("NOAUTH no")}} {
		if NothingDone(Acquire, err) || (Answer{Err: err}).Answered() {
			t.Errorf("%v counts as a refusal", err)
		}
	}
}

func TestReleaseWhoseScriptFailedMayHaveDeletedTheKey(t *testing.T) {
	err := pool.Error("WRONGTYPE Operation against a key holding the wrong kind of value script: 1234, on @user_script:12.")
	if NothingDone(Release, err) || !NothingDone(Extend, err) || !(Answer{Err: err}).Answered() {
		t.Error("after DEL it may fail at the queue")
	}
	if !NothingDone(Release, pool.Error("NOPERM no permissions to run the 'evalsha' command")) {
		t.Error("a script that was not run deletes nothing")
	}
}

func TestAScriptThatFailedMayHaveSetSomeOfSeveralKeys(t *testing.T) {
	err := pool.Error("ERR Error running script (call to f_1234): @user_script:8: @user_script: 8: -OOM command not allowed")
	for name, entry := range map[string]Entry{"one key": NewEntry("k", "v"), "several keys": NewEntry("k", "v").And("l")} {
		for _, verb := range []Verb{Acquire, Extend} {
			a := NewRequest(verb, entry, time.Second, WaiterFlag{}).answer(nil, err)
			if want := entry.Grant() == OneKey || verb == Extend; NothingDone(verb, a.Err) != want {
				t.Errorf("%s, %v: nothing was done: %t", name, verb, !want)
			}
			if !a.Answered() {
				t.Errorf("%s, %v: the server itself answered", name, verb)
			}
		}
	}
}
