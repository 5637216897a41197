package inbox

import (
	"log/slog"
	"regexp"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// DefaultName is the default of [Config.Name].
const DefaultName = "default"

// Config configures an Inbox. The zero value works.
type Config struct {
	// Name distinguishes the inboxes in one store: each has its own events, history and
	// handler. Inboxes with the same name, in several processes, share their work. Lower-case
	// letters, digits and underscores, at most 40. Defaults to [DefaultName].
	Name string

	// Invalidator drops from caches what an event makes stale, after the handler has succeeded or
	// returned a permanent error, and before the event is recorded as handled or dead. If it fails,
	// the handler and the Invalidator are called again. Defaults to none.
	Invalidator receiver.Invalidator

	// Dispatcher configures the Dispatcher that calls the handler. MaxInFlightPerEndpoint bounds
	// how many handlers run at a time in this process, and AttemptTimeout how long one may run.
	// Logger gets every attempt that failed. The inbox adds its channel to Channels, so that
	// several Dispatchers can share the store. The zero value has the defaults of [dispatch.Config]
	// and only the inbox's channel.
	Dispatcher dispatch.Config
}

var namePattern = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Dispatcher.Channels == nil {
		c.Dispatcher.Channels = channel.NewRegistry()
	}
	if c.Dispatcher.Logger == nil {
		c.Dispatcher.Logger = slog.Default()
	}
	return c
}

// check adds what is wrong, except with Dispatcher, to problems.
func (c *Config) check(problems *event.Problems) {
	if !namePattern.MatchString(c.Name) {
		problems.Add("Name", "must be lower-case letters, digits and underscores, at most 40")
	}
}
