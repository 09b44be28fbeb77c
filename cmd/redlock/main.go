// Command redlock takes Redlock locks from the command line. "redlock run" holds a lock while a
// command runs. "redlock status" and "redlock watch" show its holder. "redlock elect" runs a command
// while it leads, and "redlock leader" shows the leader. "redlock publish" and "redlock latest" write
// and read a value that a majority keeps. "redlock doctor" diagnoses the masters. "redlock demo" shows
// a lock and an election at work while nodes and processes fail.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/quorumlock/quorumlock/cmd/redlock/internal/child"
)

const description = `A lock on several independent Redis (or Valkey) masters, granted only if a majority of them agrees.

  redlock demo                                   see it at work, no Redis needed
  redlock run --embedded --name try -- sleep 5   try it, no Redis needed
  redlock run --node redis://r1,redis://r2,redis://r3 --name backup -- ./backup.sh
  redlock status --node redis://r1,redis://r2,redis://r3 backup
  redlock elect --node redis://r1,redis://r2,redis://r3 --name web --value 10.0.0.7 -- ./serve
  redlock doctor --node redis://r1,redis://r2,redis://r3`

type cli struct {
	Demo    demoCommand    `cmd:"" help:"Show a lock at work: several workers want it while nodes fail."`
	Run     runCommand     `cmd:"" help:"Hold a lock while a command runs."`
	Status  statusCommand  `cmd:"" help:"Show the holder of a lock, its remaining time, and the number of waiters."`
	Watch   watchCommand   `cmd:"" help:"Print each time that a lock is acquired, released or expires, until interrupted."`
	List    listCommand    `cmd:"" help:"List the locks with holder, remaining time, and number of waiters."`
	Release releaseCommand `cmd:"" help:"Delete a lock, although another client holds it."`
	Elect   electCommand   `cmd:"" help:"Campaign in an election, and run a command while leading."`
	Leader  leaderCommand  `cmd:"" help:"Show the leader of an election, with the value that it proclaimed."`
	Publish publishCommand `cmd:"" help:"Publish a value under a path."`
	Latest  latestCommand  `cmd:"" help:"Show the newest value of a path."`
	Masters mastersCommand `cmd:"" help:"Run five masters in memory, for --embedded, until interrupted."`
	Doctor  doctorCommand  `cmd:"" help:"Diagnose the masters: what endangers mutual exclusion or performance, with a remedy."`

	Candidate candidateCommand `cmd:"" name:"demo-candidate" hidden:"" help:"A process of the demo."`

	HelpOf     helpCommand       `cmd:"" name:"help" help:"Print the help of redlock or of a command."`
	VersionOf  versionCommand    `cmd:"" name:"version" help:"Print the version."`
	Completion completionCommand `cmd:"" help:"Write a script with which a shell completes the arguments of redlock."`

	Version kong.VersionFlag `help:"Print the version and end."`
}

func main() {
	child.Guard()
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute is the whole program, and returns its exit code. All its messages on stderr pass
// redact.
func execute(args []string, stdout, stderr io.Writer) int {
	say := log.New(redacting{stderr}, "redlock: ", 0)
	var c cli
	ended := -1 // the exit code of --help or --version
	parser, err := kong.New(&c,
		kong.Name("redlock"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoAppDescFormat: true, WrapUpperBound: 100}),
		kong.KindMapper(reflect.String, kong.MapperFunc(exact)),
		kong.Vars{"version": version()},
		kong.Exit(func(code int) { ended = max(ended, code) }),
		kong.Bind(&streams{stdout: stdout, say: say}),
	)
	if err != nil {
		panic(err) // the struct above is wrong: every test fails
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	}
	parsed, err := parser.Parse(args)
	switch {
	case ended >= 0:
		return ended
	case err != nil:
		help := `"redlock --help"`
		if wrong := (*kong.ParseError)(nil); errors.As(err, &wrong) && wrong.Context.Selected() != nil {
			say.SetPrefix(prefix(wrong.Context))
			help = strconv.Quote("redlock " + wrong.Context.Selected().Name + " --help")
		}
		say.Print(parserWords(err))
		say.Print("see " + help)
		return exitUsage
	}
	say.SetPrefix(prefix(parsed))
	return codeOf(said(parsed.Run(), say))
}

// exact takes an argument as it is. Kong passes it through JSON, which replaces what is not UTF-8:
// in names, in values, and in the arguments of the command.
func exact(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err == nil {
		target.SetString(fmt.Sprint(token.Value))
	}
	return err
}

// helpCommand is listed in the help, and never run: see execute.
type helpCommand struct {
	Command string `arg:"" optional:"" help:"The command."`
}

func (*helpCommand) Run() error { return nil }

type versionCommand struct{}

func (*versionCommand) Run(s *streams) error {
	_, err := fmt.Fprintln(s.stdout, version())
	return err
}

// prefix begins all messages of a sub-command: in the mails of cron nothing else shows which
// command it was.
func prefix(parsed *kong.Context) string { return "redlock " + parsed.Selected().Name + ": " }

// streams is where a command writes to: results to stdout, messages to stderr.
type streams struct {
	stdout io.Writer
	say    *log.Logger
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "redlock (devel)"
	}
	return fmt.Sprintf("redlock %s %s", info.Main.Version, info.GoVersion)
}
