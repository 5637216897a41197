package inbox

import (
	"log/slog"
	"regexp"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// DefaultName is what a zero [Config.Name] means.
const DefaultName = "default"

// Config tunes an Inbox. The zero value works.
type Config struct {
	// Name sets apart the inboxes in one store: each has its own events,
	// history and handler. Inboxes of one name, in several processes, share
	// their work. Lower-case letters, digits and underscores, at most 40.
	// Defaults to [DefaultName].
	Name string

	// Invalidator drops from caches what the event says is stale, after the
	// handler has succeeded (or failed for good) and before the event counts
	// as handled. Its error is as a handler's: both are called again.
	// Defaults to none.
	Invalidator receiver.Invalidator

	// Dispatcher tunes how the work is done. MaxInFlightPerEndpoint is how many
	// handlers run at a time in this process, AttemptTimeout how long the
	// context of one lasts. Hooks and Logger hear of every attempt that failed.
	// Channels is for sharing the store: the inbox adds its channel to it.
	// Defaults as [dispatch.Config] says, but with no other channel.
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
