package resp

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
)

// decoded is what becomes of bytes that come in pieces of at most n.
func decoded(b []byte, n int) (any, bool, error) {
	var d Decoder
	d.Reset()
	for piece := range slices.Chunk(b, n) {
		if _, err := d.Write(piece); err != nil {
			return d.Value, d.Done, err
		}
	}
	return d.Value, d.Done, nil
}

var deep = strings.Repeat("*1\r\n", maxDepth)

// replies are whole, and what is made of them.
func replies() map[string]any {
	var nested any = "in"
	for range maxDepth {
		nested = []any{nested}
	}
	return map[string]any{
		"+\r\n":                          "",
		"+OK\r\n":                        "OK",
		"$0\r\n\r\n":                     "",
		"$4\r\n\r\n\r\n\r\n":             "\r\n\r\n",
		"$-1\r\n":                        nil,
		"*-1\r\n":                        nil,
		"_\r\n":                          nil,
		":-9223372036854775808\r\n":      int64(-1 << 63),
		":+7\r\n":                        int64(7),
		"#t\r\n":                         int64(1),
		"#f\r\n":                         int64(0),
		",1.50\r\n":                      "1.50",
		",-inf\r\n":                      "-inf",
		",nan\r\n":                       "nan",
		"(-3492890328409238509324\r\n":   "-3492890328409238509324",
		"=7\r\ntxt:a\r\n\r\n":            "a\r\n",
		"*0\r\n":                         []any{},
		"%0\r\n":                         []any{},
		"*2\r\n*0\r\n*1\r\n_\r\n":        []any{[]any{}, []any{nil}},
		"%2\r\n+b\r\n:1\r\n+a\r\n:2\r\n": []any{"b", int64(1), "a", int64(2)},
		"~1\r\n%1\r\n*1\r\n+k\r\n+v\r\n": []any{[]any{[]any{"k"}, "v"}},
		"*4\r\n:1\r\n-OOM no\r\n!8\r\nREADONLY\r\n+end\r\n":       []any{int64(1), pool.Error("OOM no"), pool.Error("READONLY"), "end"},
		"|1\r\n+ttl\r\n*1\r\n:9\r\n:5\r\n":                        int64(5),
		"*2\r\n|1\r\n+a\r\n|0\r\n%1\r\n+x\r\n-y\r\n+b\r\n$-1\r\n": []any{"b", nil},
		deep + "+in\r\n": nested,
	}
}

func TestAReplyIsTheSameInWhateverPiecesItComes(t *testing.T) {
	for sent, want := range replies() {
		for n := range len(sent) {
			got, done, err := decoded([]byte(sent), n+1)
			if !done || err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%.60q in pieces of %d: got %#v, %t, %v, want %#v", sent, n+1, got, done, err, want)
			}
			if cut, done, err := decoded([]byte(sent)[:n], n+1); done || err != nil {
				t.Errorf("the first %d bytes of %.60q: got %#v, %t, %v", n, sent, cut, done, err)
			}
		}
	}
}

var nonsense = []string{
	"\r\n", "\n", "+OK\n", "?\r\n", "HTTP/1.1 400\r\n", ":\r\n", ":1.5\r\n", ":9223372036854775808\r\n", ",\r\n", ",x\r\n",
	"#\r\n", "#x\r\n", "#tt\r\n", "_x\r\n", "(\r\n", "(1e3\r\n", "$\r\n", "$x\r\n", "$-2\r\n", "$?\r\n", "*?\r\n",
	"$9223372036854775807\r\n", "%4611686018427387904\r\n", "|-1\r\n", "$2\r\nOKxx", "=2\r\nab\r\n", "=4\r\nabcd\r\n",
	">2\r\n+message\r\n+x\r\n", "+OK\r\n+OK\r\n", "*1\r\n:x\r\n", deep + "*1\r\n",
}

func TestWhatIsNoRESPIsAnErrorAndNoReply(t *testing.T) {
	for _, sent := range nonsense {
		for n := range len(sent) {
			if got, _, err := decoded([]byte(sent), n+1); err == nil {
				t.Errorf("%.60q in pieces of %d: got %#v", sent, n+1, got)
			}
		}
	}
}

func TestLengthsThatAreOnlyAnnouncedCostNoMemory(t *testing.T) {
	for _, sent := range []string{"$2000000000\r\n", "*2000000000\r\n", "%1000000000\r\n", strings.Repeat("*1000000\r\n", maxDepth)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if got, done, err := decoded([]byte(sent), 16); done || err != nil {
			t.Errorf("%.20q: got %v, %t, %v", sent, got, done, err)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("%.20q took %d bytes", sent, grown)
		}
	}
}

func TestNoBytesMakeTheDecoderPanic(t *testing.T) {
	seeds := []string{"*3\r\n$2\r\nOK\r\n:1\r\n-ERR\r\n", "%1\r\n+k\r\n=5\r\ntxt:x\r\n", "|1\r\n+a\r\n#t\r\n~2\r\n,1.5\r\n(12\r\n", "!3\r\nERR\r\n"}
	const alphabet = "+-:$*_#,(!=~%|>\r\n0123456789tf"
	for i := range 200_000 {
		b := []byte(seeds[i%len(seeds)])
		for range 1 + rand.IntN(4) {
			b[rand.IntN(len(b))] = alphabet[rand.IntN(len(alphabet))]
		}
		n := 1 + rand.IntN(len(b))
		whole, done, err := decoded(b, len(b))
		if got, gotDone, gotErr := decoded(b, n); gotDone != done && err == nil || (gotErr == nil) != (err == nil) || err == nil && !reflect.DeepEqual(got, whole) {
			t.Fatalf("%q: got %#v, %v whole and %#v, %v in pieces of %d", b, whole, err, got, gotErr, n)
		}
	}
}

func TestAReplyToALockCostsNoAllocation(t *testing.T) {
	d := new(Decoder)
	for _, sent := range []string{"$-1\r\n", "_\r\n", ":1\r\n"} {
		b := []byte(sent)
		if n := testing.AllocsPerRun(100, func() {
			d.Reset()
			if _, err := d.Write(b); err != nil || !d.Done {
				panic(fmt.Sprint(d.Value, err))
			}
		}); n != 0 {
			t.Errorf("%q costs %v allocations", sent, n)
		}
	}
}
