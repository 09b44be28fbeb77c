package main

import (
	"strings"
	"testing"
)

// A figure without the versions that it was measured with cannot be repeated.
func TestTheReportNamesTheKernelAndEveryPeersVersion(t *testing.T) {
	text := thisMachine().String()
	for _, path := range peers {
		if !strings.Contains(text, path+" v") {
			t.Errorf("no version of %s in %q", path, text)
		}
	}
	if _, kernel, _ := strings.Cut(text, "kernel "); kernel == "" || strings.HasPrefix(kernel, ",") {
		t.Errorf("no kernel in %q", text)
	}
}
