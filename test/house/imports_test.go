package house_test

import (
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/quorumlock/quorumlock"

// root is the folder of the module that these tests are about.
const root = "../.."

// law says what each package may import besides the standard library: packages
// of this module by their folder, others by their path. Arrows point inwards:
//
//	redlock -> internal/fanout -> internal/node -> pool
//
// A package that is not listed is refused, so that a new one is entered here.
var law = map[string][]string{
	"pool":               {},
	"pool/pooltest":      {"pool", "internal/port"},
	"pool/direct":        {"pool", "internal/pipeline", "internal/resp"},
	"pool/goredis":       {"pool", "internal/pipeline", "internal/resp", "github.com/redis/go-redis/v9", "github.com/redis/go-redis/v9/auth", "github.com/redis/go-redis/v9/maintnotifications"},
	"pool/redigo":        {"pool", "internal/pipeline", "github.com/gomodule/redigo/redis"},
	"fence":              {},
	"board":              {"redlock", "internal/register", "internal/node"},
	"semaphore":          {"redlock", "internal/slot"},
	"internal/slot":      {},
	"election":           {"redlock", "internal/register", "internal/node", "internal/random"},
	"internal/quorum":    {},
	"internal/random":    {},
	"internal/clock":     {},
	"internal/node":      {"internal/node/lua", "internal/random", "pool"},
	"internal/node/lua":  {},
	"internal/pipeline":  {"pool"},
	"internal/resp":      {"pool"},
	"internal/fanout":    {"internal/quorum", "internal/node", "internal/random", "pool"},
	"internal/lease":     {"internal/clock", "internal/quorum", "internal/random"},
	"internal/listen":    {"internal/random", "pool"},
	"internal/waiting":   {"internal/quorum", "internal/node", "internal/fanout", "internal/listen", "internal/random", "pool"},
	"internal/diagnosis": {"internal/node", "internal/quorum", "pool"},
	"internal/register":  {"internal/node", "internal/fanout", "pool"},
	"internal/fakenode":  {"internal/node/lua", "pool"},
	"internal/port":      {},
	"internal/redisproc": {"internal/port"},
	"redlock": {
		"internal/clock", "internal/random", "internal/quorum", "internal/node", "internal/fanout", "internal/lease", "internal/diagnosis", "internal/listen", "internal/register", "internal/slot", "internal/waiting", "pool",
		"github.com/hashicorp/go-multierror",
	},
	"servers":     {"internal/redisproc", "redlocktest"},
	"redlocktest": {"internal/port", "github.com/alicebob/miniredis/v2", "github.com/alicebob/miniredis/v2/server"},
}

// A folder is a package and what its files import.
type folder struct {
	code, tests map[string]bool
}

// sources reads the imports of all files of this module, also of those for
// other systems. Folders with a go.mod of their own are other modules.
func sources(t *testing.T, root string) map[string]*folder {
	t.Helper()
	folders := make(map[string]*folder)
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, err := os.Stat(filepath.Join(file, "go.mod"))
			if file != root && (err == nil || strings.HasPrefix(entry.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(file) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		name := filepath.ToSlash(dir)
		if folders[name] == nil {
			folders[name] = &folder{code: make(map[string]bool), tests: make(map[string]bool)}
		}
		into := folders[name].code
		if strings.HasSuffix(file, "_test.go") {
			into = folders[name].tests
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			into[strings.TrimPrefix(imported, module+"/")] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// standard reports whether an import belongs to Go: those have no dot in their
// first element.
func standard(folders map[string]*folder, imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return folders[imported] == nil && !strings.Contains(first, ".")
}

func TestImportsPointInwards(t *testing.T) {
	folders := sources(t, root)
	for name, f := range folders {
		if name == "." {
			continue // tests only: they may use everything
		}
		allowed, listed := law[name]
		if !listed {
			t.Errorf("package %s is not in the house: say in the law what it may import", name)
			continue
		}
		for imported := range f.code {
			if !standard(folders, imported) && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s; the law allows it %q only", name, imported, allowed)
			}
		}
	}
	for name := range law {
		if folders[name] == nil {
			t.Errorf("the law lists %s, which does not exist", name)
		}
	}
	if len(folders["."].code) > 0 {
		t.Error("the root holds tests only, and has imports outside of them")
	}
}

// What a newcomer sees first.
func TestTheRootHoldsWhatAGoProjectHasThereAndTheTestToReadFirst(t *testing.T) {
	wanted := []string{
		"go.mod", "go.sum", "go.work", "go.work.sum", "LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
		"redlock_test.go",
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		ignored := strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof")
		if !entry.IsDir() && !ignored && !slices.Contains(wanted, name) {
			t.Errorf("%s is at the root: it belongs in a folder", name)
		}
	}
}

// The tests and examples of a package that a user imports count for the user's go.sum.
// So they bring in no module that neither the package itself needs nor the lock, which
// every user has: no client, no miniredis, no leak checker. Tests that need one are in
// the module test.
func TestTestsOfAPackageNeedNoMoreModulesThanThePackageAndTheLock(t *testing.T) {
	folders := sources(t, root)
	for name, f := range folders {
		if name == "." {
			continue
		}
		own := make(map[string]bool)
		foreign(folders, f.code, own)
		foreign(folders, folders["redlock"].code, own)
		with := make(map[string]bool)
		foreign(folders, f.tests, with)
		for imported := range with {
			if !own[imported] {
				t.Errorf("the tests of %s need %s, which neither the package needs nor the lock", name, imported)
			}
		}
	}
}

// foreign adds to found what the imports need, directly or not, from other
// modules.
func foreign(folders map[string]*folder, imports, found map[string]bool) {
	for imported := range imports {
		switch f := folders[imported]; {
		case f != nil:
			foreign(folders, f.code, found)
		case !standard(folders, imported):
			found[imported] = true
		}
	}
}

// A law that no tree could break would hold nothing.
func TestTheLawNoticesAnArrowThatPointsBack(t *testing.T) {
	root := t.TempDir()
	for file, imported := range map[string]string{
		"pool/pool.go":             module + "/redlock",
		"redlock/redlock.go":       "context",
		"redlock/redlock_test.go":  module + "/redlocktest",
		"redlocktest/kit.go":       "github.com/alicebob/miniredis/v2",
		"cmd/tool/go.mod":          "",
		"cmd/tool/main.go":         "github.com/gomodule/redigo/redis",
		"internal/elsewhere/go.go": "strings",
	} {
		full := filepath.Join(root, filepath.FromSlash(file))
		text := "package " + path.Base(path.Dir(file)) + "\n\nimport " + strconv.Quote(imported) + "\n"
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	folders := sources(t, root)
	if folders["cmd/tool"] != nil {
		t.Error("a nested module was read as a part of this one")
	}
	if !folders["pool"].code["redlock"] || slices.Contains(law["pool"], "redlock") {
		t.Error("an import of redlock by pool was not seen")
	}
	found := make(map[string]bool)
	foreign(folders, folders["redlock"].tests, found)
	if got := slices.Collect(maps.Keys(found)); !slices.Equal(got, []string{"github.com/alicebob/miniredis/v2"}) {
		t.Errorf("the tests of redlock need %q, want miniredis behind the kit", got)
	}
}
