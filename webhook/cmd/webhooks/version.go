package main

import (
	"context"
	"runtime"
	"runtime/debug"
)

var versionCommand = command{
	name: "version", short: "Print the version of this program",
	example: "webhooks version --json",
	setup: func(*flagSet) action {
		return func(_ context.Context, a *app, _ []string) error { return a.version() }
	},
}

// versionInfo is the answer of "version" as JSON.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) version() error {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	if a.json {
		return a.object(v)
	}
	a.printf("webhooks %s (%s, %s)\n", v.Version, v.Go, v.Platform)
	return nil
}
