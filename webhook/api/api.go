package api

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
)

// DefaultPrefix is where the published contract has the API.
const DefaultPrefix = "/v1/organizations/webhooks"

// Config tunes an API. The zero value works.
type Config struct {
	// Prefix is the path of the list of webhooks, as clients see it and without
	// a slash at the end. Defaults to DefaultPrefix.
	Prefix string

	// MaxBody is how many bytes a request's body may have. Defaults to 1 MiB.
	MaxBody int64

	// MaxRequests bounds the requests under way in this process; one more is
	// answered with 503 and Retry-After. At most a quarter of them, or one, may be
	// tests of webhooks, and as many replays by filter. Defaults to 64.
	MaxRequests int

	// MaxRequestsPerOrganization bounds those of one organization; one more is
	// answered with 429 and Retry-After, and so is one of an organization that
	// has as many as are still free: something is left for others. At most a
	// quarter of them, or one, may be tests of webhooks, and as many replays by
	// filter. Defaults to 16, or MaxRequests if that is less.
	MaxRequestsPerOrganization int

	// IdempotentPerMinute bounds the requests with an Idempotency-Key of one organization in
	// this process: see [idempotency.Config]. One more is answered with 429 and Retry-After.
	// Defaults to 120; [idempotency.NoLimit] accepts all.
	IdempotentPerMinute int

	// Library has the filters and functions that previews of templates can use
	// beyond Jinja2: the one that the channels have. Defaults to none.
	Library *template.Library

	// Catalogue has the event types that the API lists. Defaults to event.Mixpeek().
	Catalogue event.Catalogue

	// Logger hears of requests that failed inside. Defaults to slog.Default().
	Logger *slog.Logger
}

// API is the management API, an [http.Handler]. Make one with [New]. It is safe
// for concurrent use.
type API struct {
	dispatcher   *dispatch.Dispatcher
	authenticate Authenticator
	idempotency  *idempotency.Group
	cfg          Config
	fields       configFields
	openAPI      []byte
	mux          *http.ServeMux
	requests     *admission
	// tests and replays are shares of requests.
	tests, replays *admission
	drain          drain
	// work is for requests that compile or render templates, which costs time
	// and memory: no more than there are processors.
	work *slots
}

// New makes an API. Every route but the OpenAPI document and the health check
// asks authenticate whose request it is.
//
// A wrong configuration is refused with every reason, as an
// [event.ValidationError].
func New(d *dispatch.Dispatcher, authenticate Authenticator, cfg Config) (*API, error) {
	if d == nil || authenticate == nil {
		return nil, errors.New("api: New: needs a dispatcher and an authenticator")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	document, err := openAPIDocument(cfg.Prefix)
	if err != nil {
		return nil, err
	}
	repeatable, err := idempotency.New(d, idempotency.Config{
		PerMinute: cfg.IdempotentPerMinute, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	a := &API{
		dispatcher: d, authenticate: authenticate, idempotency: repeatable, cfg: cfg, fields: configFields{d.Channels()},
		openAPI:  document,
		requests: newAdmission(cfg.MaxRequests, cfg.MaxRequestsPerOrganization, clientPatience),
		tests:    newShare(cfg.MaxRequests, cfg.MaxRequestsPerOrganization),
		replays:  newShare(cfg.MaxRequests, cfg.MaxRequestsPerOrganization),
		drain:    make(drain, drainsAll),
		work:     newSlots(runtime.GOMAXPROCS(0), max(1, runtime.GOMAXPROCS(0)/2)),
	}
	a.mux = a.newMux()
	return a, nil
}

// Mount registers the API's paths in a mux: the prefix itself and all below it.
// Serving the API from anywhere else is just as well, as long as the requests'
// paths begin with the prefix.
func (a *API) Mount(mux *http.ServeMux) {
	mux.Handle(a.cfg.Prefix, a)
	mux.Handle(a.cfg.Prefix+"/", a)
}

func (c Config) withDefaults() (Config, error) {
	var p event.Problems
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if !strings.HasPrefix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/") || strings.ContainsAny(c.Prefix, "{}?#% ") {
		p.Add("Prefix", `must be a plain path that begins with "/" and does not end with one`)
	}
	if c.MaxBody == 0 {
		c.MaxBody = 1 << 20
	}
	if c.MaxBody < 0 {
		p.Add("MaxBody", "must not be negative")
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = 64
	}
	if c.MaxRequests < 0 {
		p.Add("MaxRequests", "must not be negative")
	}
	if c.MaxRequestsPerOrganization == 0 {
		c.MaxRequestsPerOrganization = min(16, c.MaxRequests)
	}
	if c.MaxRequestsPerOrganization < 0 || c.MaxRequestsPerOrganization > c.MaxRequests {
		p.Add("MaxRequestsPerOrganization", "must be between 1 and MaxRequests")
	}
	if c.IdempotentPerMinute < 0 {
		p.Add("IdempotentPerMinute", "must not be negative")
	}
	if c.Catalogue == nil {
		c.Catalogue = event.Mixpeek()
	}
	p.AddError("Catalogue", c.Catalogue.Validate())
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, p.Err()
}
