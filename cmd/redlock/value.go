package main

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// A value may have any bytes, and was written by others: no terminal gets it as it is. Text shows
// it as %q does.

// jsonValue is a value in JSON, with nothing lost.
type jsonValue struct {
	Value    string `json:"value"`
	Encoding string `json:"encoding"`
}

// newValue returns a value as text where that is safe. JSON escapes the control characters below
// the blank. It does not escape those above, which some terminals obey.
func newValue(value string) jsonValue {
	if !utf8.ValidString(value) {
		return encoded(value)
	}
	for _, r := range value {
		if r > ' ' && unicode.IsControl(r) {
			return encoded(value)
		}
	}
	return jsonValue{value, "utf-8"}
}

func encoded(value string) jsonValue {
	return jsonValue{base64.StdEncoding.EncodeToString([]byte(value)), "base64"}
}

// short is the beginning of a value, for a message.
func short(value string) string {
	const most = 60
	if len(value) > most {
		return fmt.Sprintf("%q... (%d bytes)", value[:most], len(value))
	}
	return strconv.Quote(value)
}
