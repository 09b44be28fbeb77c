package lua

import "strconv"

// A published value begins with four numbers, and then has the text: see record.lua.
const (
	digits       = 16
	HeaderLength = 4 * digits
)

// Header is how a published value begins: with its version, and for how many milliseconds that is
// remembered longer than the text. Versions compare as these texts do.
func Header(term, seq, writer, extra int64) string {
	var b [HeaderLength]byte
	for i, n := range [...]int64{term, seq, writer, extra} {
		for at := (i+1)*digits - 1; at >= i*digits; at-- {
			b[at] = byte('0' + n%10)
			n /= 10
		}
	}
	return string(b[:])
}

// ReadHeader reads what Header returns.
func ReadHeader(header string) (term, seq, writer, extra int64, ok bool) {
	if len(header) != HeaderLength {
		return 0, 0, 0, 0, false
	}
	var n [4]int64
	for i := range n {
		u, err := strconv.ParseUint(header[i*digits:(i+1)*digits], 10, 63)
		if err != nil {
			return 0, 0, 0, 0, false
		}
		n[i] = int64(u)
	}
	return n[0], n[1], n[2], n[3], true
}
