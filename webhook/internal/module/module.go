// Package module knows which version of this module the program was built with.
package module

import (
	"runtime/debug"
	"strings"
)

// Version returns the version of this module that the program was built with, or "(devel)".
func Version() string {
	const module = "github.com/mixpeek/webhooks-go"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	found := info.Main
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			found = *dependency
		}
	}
	if found.Version == "" || found.Path != module && !strings.HasPrefix(found.Path, module+"/") {
		return "(devel)"
	}
	return found.Version
}
