package sqltest

import (
	"flag"
	"testing"
)

// Thorough is the flag thorough of the tests of both SQL stores.
var Thorough = flag.Bool("thorough", false,
	"run the tests that take seconds of CPU time, as those that kill processes and servers and those that\n"+
		"check other tests; kill, stop and cut the power more often, let the disk fail more often, try more\n"+
		"random histories, and run more of the suite of stores in each way to open one")

// OnlyThorough skips a test without the flag thorough.
func OnlyThorough(t *testing.T) {
	t.Helper()
	if !*Thorough {
		t.Skip("runs with -thorough")
	}
}

// Thoroughly returns groups of the suite of stores, with more of them if the flag thorough is set.
func Thoroughly(groups []string, more ...string) []string {
	if *Thorough {
		groups = append(groups, more...)
	}
	return groups
}
