package lua

import (
	"strings"
	"testing"
)

func TestTheHeaderOfAPublishedValueHasFourNumbersOf16Digits(t *testing.T) {
	const want = "0000000000000001" + "0000000000000020" + "9007199254740991" + "0000000000000000"
	header := Header(1, 20, 1<<53-1, 0)
	if header != want {
		t.Errorf("%q, want %q", header, want)
	}
	term, seq, writer, extra, ok := ReadHeader(header)
	if !ok || term != 1 || seq != 20 || writer != 1<<53-1 || extra != 0 {
		t.Errorf("%d %d %d %d %t", term, seq, writer, extra, ok)
	}
	for _, bad := range []string{"", header[1:], header + "0", strings.Replace(header, "20", "2x", 1), "-" + header[1:], "+" + header[1:]} {
		if _, _, _, _, ok := ReadHeader(bad); ok {
			t.Errorf("%q is read", bad)
		}
	}
}
