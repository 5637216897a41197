package console

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"strings"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

// DefaultPrefix is the default of Config.Prefix.
const DefaultPrefix = "/console"

// Config configures a Console. In every field zero means the default; a negative number is an error
// of New.
type Config struct {
	// Prefix is the path of the console, as browsers see it, without a slash at the end. Do not strip
	// it from requests. Defaults to DefaultPrefix.
	Prefix string

	// Title is what pages call the service. Defaults to "Webhooks".
	Title string

	// Audit is told of each change, after it was tried, and of each secret shown. It is called in the
	// goroutine of the request, must be safe for concurrent use, and should not block. Nil is told
	// nothing.
	Audit func(context.Context, Change)

	// Organizations lists organizations for operators to choose from, 1000 of them at most are shown.
	// Nil lists none: an operator then types the id of an organization.
	Organizations func(context.Context) ([]string, error)

	// APIKeys are the API keys of the store, which pages then list, create and revoke, with no more
	// rights than those of the identity. The one who creates an API key is shown it once. Nil has no
	// such pages.
	APIKeys *apikey.Keys

	// Nonce returns the nonce of the page's Content-Security-Policy, for a service that sends a
	// policy of its own. The console then sends none, and its script and style sheet carry the nonce.
	// The policy of the service must allow both, images from the same origin, and connections to it.
	Nonce func(r *http.Request) string

	// Library has the filters and functions beyond Jinja2 that previews of templates can use. Give it
	// the Library of the channels. Defaults to none.
	Library *template.Library

	// Catalogue is the list of event types to choose from. Previews and tests use its examples.
	// Defaults to event.Mixpeek().
	Catalogue event.Catalogue

	// MaxRequests is the largest number of requests in progress in this process; one more is answered
	// with 503 and Retry-After. MaxRequestsPerOrganization bounds those of one organization, or of one
	// identity on pages of no organization; one more is answered with 429, and so is a request of an
	// organization that has as many as there are free places. They default to 64 and 8, or to
	// MaxRequests if that is less. A browser has 10 seconds to send a form, and 10 to read a page.
	MaxRequests, MaxRequestsPerOrganization int

	// Logger gets an error for each request that failed for a reason that its answer does not show.
	// Defaults to slog.Default().
	Logger *slog.Logger
}

// Change is what Config.Audit is told.
type Change struct {
	// Identity is who did it.
	Identity Identity
	// Action is what was done: "create", "update", "delete", "pause", "resume", "enable", "disable",
	// "rotate", "drop_previous", "reveal", "test", "replay", "replay_many", "stop_replay", "cancel",
	// "skip", "create_api_key" or "revoke_api_key".
	Action string
	// OrganizationID and SubscriptionID say of what. SubscriptionID is empty if a delivery was
	// named, or a filter of no subscription.
	OrganizationID, SubscriptionID string
	// Channel is one of [webhook.Subscription.ChannelKeys], if it was about one.
	Channel string
	// DeliveryID is the delivery that was replayed, cancelled or skipped.
	DeliveryID webhook.DeliveryID
	// ReplayID is the replay that "replay_many" began, or "stop_replay" stopped.
	ReplayID string
	// APIKeyID is the API key that was created or revoked, or was to be revoked.
	APIKeyID string
	// Err is why it failed. Nil if it was done.
	Err error
}

func (c Config) withDefaults() (Config, error) {
	var p event.Problems
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if !strings.HasPrefix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/") ||
		strings.ContainsAny(c.Prefix, "{}?#% ") || path.Clean(c.Prefix) != c.Prefix {
		p.Add("Prefix", `must be a plain path that begins with "/" and does not end with one`)
	}
	if c.Title == "" {
		c.Title = "Webhooks"
	}
	if c.Catalogue == nil {
		c.Catalogue = event.Mixpeek()
	}
	p.AddError("Catalogue", c.Catalogue.Validate())
	settings.Default(&c.MaxRequests, 64)
	settings.Default(&c.MaxRequestsPerOrganization, min(8, max(c.MaxRequests, 1)))
	settings.AtLeast(&p, "MaxRequests", c.MaxRequests, 1)
	settings.AtLeast(&p, "MaxRequestsPerOrganization", c.MaxRequestsPerOrganization, 1)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, p.Err()
}
