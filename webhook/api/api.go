package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"
	"github.com/mixpeek/webhooks-go/webhook/internal/configs"
)

// DefaultPrefix is the path of the API in the published contract.
const DefaultPrefix = "/v1/organizations/webhooks"

// Config configures an API. In every field zero means the default; a negative number is an error of
// New.
type Config struct {
	// Prefix is the path of the list of webhooks, as clients see it, without a slash at the end.
	// Defaults to DefaultPrefix.
	Prefix string

	// MaxBody is how many bytes a request's body may have. Defaults to 1 MiB.
	MaxBody int64

	// MaxRequests is the largest number of requests in progress in this process; one more is answered
	// with 503 and Retry-After. Tests of webhooks may use a quarter of them (at least one), and
	// replays by filter another quarter. Defaults to 64.
	MaxRequests int

	// MaxRequestsPerOrganization bounds the requests in progress of one organization; one more is
	// answered with 429 and Retry-After. So is a request of an organization that has as many as there
	// are free places, so that something is left for others. Tests of webhooks may use a quarter of
	// them (at least one), and replays by filter another quarter. Defaults to 16, or to MaxRequests if
	// that is less; it must not be more than MaxRequests.
	MaxRequestsPerOrganization int

	// MaxStreams is the largest number of requests of this process that read a tail and wait: streams,
	// and requests with ?wait=. They do not count in MaxRequests while they wait. One more is
	// answered with 503 and Retry-After. Defaults to 256.
	MaxStreams int

	// MaxStreamsPerOrganization bounds those of one organization, as MaxRequestsPerOrganization does.
	// Defaults to 16, or to MaxStreams if that is less; it must not be more than MaxStreams.
	MaxStreamsPerOrganization int

	// IdempotentPerMinute bounds the requests with an Idempotency-Key of one organization in
	// this process: see [idempotency.Config]. One more is answered with 429 and Retry-After.
	// Defaults to 120; [idempotency.NoLimit] accepts all.
	IdempotentPerMinute int

	// Library has the filters and functions beyond Jinja2 that previews of templates can use.
	// Give it the Library of the channels, so that a preview accepts what they accept. Defaults
	// to none.
	Library *template.Library

	// Catalogue is the list of event types that GET /event-types answers with. Previews and
	// tests use the examples of its types. Defaults to event.Mixpeek().
	Catalogue event.Catalogue

	// APIKeys are the API keys that open the API, and that it lists, creates and revokes below
	// /api-keys. Nil has no such paths, and leaves all requests to the Authenticator.
	APIKeys *apikey.Keys

	// Publish lets requests with the role operate publish events: POST /events. The channels cannot tell
	// such an event from one that the service has emitted, so think of who has API keys. Off by default.
	Publish bool

	// Actor names who makes a request that the Authenticator has accepted, such as the user. A request
	// with one of the APIKeys is made by the id and the name of the key. The name is kept as
	// [webhook.EndpointState.ChangedBy], which the API shows, and is in the log, up to 200 bytes of it.
	// Nil, or an empty name, is "api".
	Actor func(r *http.Request) string

	// Logger gets an error for each request that failed for a reason that its answer does not
	// show, such as an error of the store, and a line at Info for each change of a webhook or an
	// endpoint that was made: see Who changed what in the documentation of the package. Defaults to
	// slog.Default().
	Logger *slog.Logger
}

// API is the management API, an [http.Handler]. Make one with [New]. It is safe
// for concurrent use.
type API struct {
	dispatcher   *dispatch.Dispatcher
	authenticate Authenticator
	idempotency  *idempotency.Group
	cfg          Config
	fields       configs.Fields
	openAPI      func() ([]byte, error) // makes the document once, when it is asked for: it takes 10 ms
	mux          *http.ServeMux
	requests     *admission
	// tests and replays bound requests that have a place in requests as well.
	tests, replays *admission
	// streams bounds the requests that read a tail and wait. They have no place in requests.
	streams  *admission
	shutdown shutdown
	drain    drain
	// work bounds the requests that compile or render templates, which costs time and memory:
	// there are no more of them than processors.
	work   *slots
	checks healthChecks
}

// New returns an API. The API calls authenticate for every request, except those for the OpenAPI
// document and the health check. A request that it does not know has to have one of
// [Config.APIKeys], if there are any. Then authenticate may be nil.
//
// New returns an [*event.ValidationError] that lists every invalid field of cfg, and an error if d
// is nil, or authenticate is and there are no APIKeys.
func New(d *dispatch.Dispatcher, authenticate Authenticator, cfg Config) (*API, error) {
	if d == nil || authenticate == nil && cfg.APIKeys == nil {
		return nil, errors.New("api: New: needs a dispatcher, and an authenticator or APIKeys")
	}
	cfg, err := cfg.withDefaults()
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
		dispatcher: d, authenticate: authenticate, idempotency: repeatable, cfg: cfg,
		fields:   configs.Of(d.Channels()),
		openAPI:  sync.OnceValues(func() ([]byte, error) { return openAPIDocument(&cfg) }),
		requests: newAdmission(cfg.MaxRequests, cfg.MaxRequestsPerOrganization, clientPatience),
		tests:    newShare(cfg.MaxRequests, cfg.MaxRequestsPerOrganization),
		replays:  newShare(cfg.MaxRequests, cfg.MaxRequestsPerOrganization),
		streams:  newAdmission(cfg.MaxStreams, cfg.MaxStreamsPerOrganization, workPatience),
		drain:    make(drain, drainsAll),
		work:     newSlots(runtime.GOMAXPROCS(0), max(1, runtime.GOMAXPROCS(0)/2)),
	}
	a.mux = a.newMux()
	return a, nil
}

// Before returns a handler that serves the API's paths, which are the prefix and everything below
// it, and passes all other requests to next, such as the service's mux.
//
// The API can also be registered in a mux or router, for [Config.Prefix] and for everything below
// it. But an [http.ServeMux] answers some requests itself: it redirects those whose path has empty
// segments, as it has when a client leaves an id empty, and the client does not get the API's 404.
func (a *API) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, a.cfg.Prefix); ok &&
			(rest == "" || rest[0] == '/') {
			a.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (c Config) withDefaults() (Config, error) {
	var p event.Problems
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if !strings.HasPrefix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/") ||
		strings.ContainsAny(c.Prefix, "{}?#% ") || !isClean(c.Prefix) {
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
	if c.MaxStreams == 0 {
		c.MaxStreams = 256
	}
	if c.MaxStreams < 0 {
		p.Add("MaxStreams", "must not be negative")
	}
	if c.MaxStreamsPerOrganization == 0 {
		c.MaxStreamsPerOrganization = min(16, c.MaxStreams)
	}
	if c.MaxStreamsPerOrganization < 0 || c.MaxStreamsPerOrganization > c.MaxStreams {
		p.Add("MaxStreamsPerOrganization", "must be between 1 and MaxStreams")
	}
	if c.IdempotentPerMinute < 0 {
		p.Add("IdempotentPerMinute", "must not be negative")
	}
	if c.Catalogue == nil {
		c.Catalogue = event.Mixpeek()
	}
	p.AddError("Catalogue", c.Catalogue.Validate())
	for i, t := range c.Catalogue {
		if t.Example != "" {
			field := fmt.Sprintf("Catalogue[%d].Example", i)
			p.AddError(field, c.Catalogue.Sample(t.Type).Validate())
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, p.Err()
}

// route is one operation. Its path is relative to the prefix. Every path is served with a slash
// at its end too.
type route struct {
	method, path string
	handle       func(*request) (*response, error)
	public       bool // needs no organization
	works        bool // compiles or renders templates
	waits        bool // may go on for longer than handleTime
	// need is the role that an API key must have.
	need webhook.Role
}

// routes returns all operations, those of the published contract first. openapi.json describes
// each of them.
func (a *API) routes() []route {
	routes := []route{
		{method: "POST", path: "", handle: a.createSubscription, works: true, need: webhook.RoleAdminister},
		{method: "GET", path: "", handle: a.listSubscriptions},
		{method: "POST", path: "/list", handle: a.searchSubscriptions},
		{method: "GET", path: "/{identifier}", handle: a.getSubscription},
		{method: "PUT", path: "/{identifier}", handle: a.updateSubscription, works: true, need: webhook.RoleAdminister},
		{method: "PATCH", path: "/{identifier}", handle: a.patchSubscription, works: true, need: webhook.RoleOperate},
		{method: "DELETE", path: "/{identifier}", handle: a.deleteSubscription, need: webhook.RoleAdminister},

		{method: "GET", path: "/deliveries", handle: a.listDeliveries},
		{method: "GET", path: "/{identifier}/deliveries", handle: a.listSubscriptionDeliveries},
		{method: "GET", path: "/{identifier}/deliveries/{delivery_id}", handle: a.getDelivery},
		{method: "GET", path: "/{identifier}/deliveries/{delivery_id}/event", handle: a.getEvent},
		{method: "POST", path: "/{identifier}/deliveries/{delivery_id}/replay", handle: a.replayDelivery, need: webhook.RoleOperate},
		{method: "POST", path: "/{identifier}/deliveries/{delivery_id}/cancel", handle: a.cancelDelivery, need: webhook.RoleOperate},
		{method: "POST", path: "/{identifier}/deliveries/{delivery_id}/skip", handle: a.skipDelivery, need: webhook.RoleOperate},
		{method: "POST", path: "/{identifier}/replay", handle: a.replayDeliveries, need: webhook.RoleOperate},
		{method: "GET", path: "/deliveries/replays", handle: a.listReplays},
		{method: "POST", path: "/deliveries/replays", handle: a.startReplay, need: webhook.RoleOperate},
		{method: "POST", path: "/deliveries/replays/count", handle: a.countReplay},
		{method: "GET", path: "/deliveries/replays/{replay_id}", handle: a.getReplay},
		{method: "POST", path: "/deliveries/replays/{replay_id}/stop", handle: a.stopReplay, need: webhook.RoleOperate},
		{method: "GET", path: "/events", handle: a.tailEvents, waits: true},
		{method: "GET", path: "/{identifier}/events", handle: a.tailSubscriptionEvents, waits: true},
		{method: "GET", path: "/deliveries/tail", handle: a.tailDeliveries, waits: true},
		{method: "GET", path: "/deliveries/results", handle: a.tailResults, waits: true},
		{method: "GET", path: "/{identifier}/positions", handle: a.listPositions},
		{method: "PUT", path: "/{identifier}/positions/{name}", handle: a.setPosition, need: webhook.RoleOperate},
		{method: "DELETE", path: "/{identifier}/positions/{name}", handle: a.deletePosition, need: webhook.RoleOperate},
		{method: "GET", path: "/totals", handle: a.getTotals},
		{method: "GET", path: "/totals/hourly", handle: a.getHourlyBacklog},
		{method: "GET", path: "/endpoints", handle: a.listEndpoints},
		{method: "GET", path: "/{identifier}/endpoints", handle: a.listSubscriptionEndpoints},
		{method: "POST", path: "/{identifier}/endpoints/enable", handle: a.enableEndpoint, need: webhook.RoleOperate},
		{method: "POST", path: "/{identifier}/endpoints/disable", handle: a.disableEndpoint, need: webhook.RoleOperate},
		{method: "GET", path: "/{identifier}/statistics", handle: a.getStatistics},
		{method: "GET", path: "/{identifier}/refusals", handle: a.getRefusals},
		{method: "POST", path: "/{identifier}/test", handle: a.sendTest, need: webhook.RoleOperate},
		{method: "POST", path: "/{identifier}/signing-secret/rotate", handle: a.rotateSecret, need: webhook.RoleAdminister},
		{method: "DELETE", path: "/{identifier}/signing-secret/previous", handle: a.dropSecrets, need: webhook.RoleAdminister},
		{method: "POST", path: "/preview", handle: a.preview, works: true},
		{method: "GET", path: "/event-types", handle: a.listEventTypes},

		{method: "GET", path: "/about", handle: a.about},
		{method: "GET", path: "/health", handle: a.health, public: true},
		{method: "GET", path: "/openapi.json", handle: a.getOpenAPI, public: true},
	}
	if a.cfg.Publish {
		routes = append(routes, route{method: "POST", path: "/events", handle: a.publish,
			need: webhook.RoleOperate})
	}
	if a.cfg.APIKeys != nil {
		routes = append(routes,
			route{method: "GET", path: "/api-keys", handle: a.listAPIKeys, need: webhook.RoleAdminister},
			route{method: "POST", path: "/api-keys", handle: a.createAPIKey, need: webhook.RoleAdminister},
			route{method: "DELETE", path: "/api-keys/{api_key_id}", handle: a.revokeAPIKey,
				need: webhook.RoleAdminister},
		)
	}
	return routes
}

func (a *API) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range a.routes() {
		h := a.serve(r)
		mux.Handle(r.method+" "+a.cfg.Prefix+r.path, h)
		mux.Handle(r.method+" "+a.cfg.Prefix+r.path+"/{$}", h)
	}
	return mux
}

// request is a request of a known organization.
type request struct {
	*http.Request
	organizationID string
	holder         apikey.Holder // who makes it
	body           []byte
	bodyRead       bool // as far as it came: there is nothing to drain
	place          *place
}

// response is an answer that is not an error.
type response struct {
	status int
	header map[string]string
	body   any // nil is no body
	// stream writes the whole answer itself, if it is not nil.
	stream func(http.ResponseWriter)
}

// ServeHTTP serves the API. The path of the request must begin with the prefix.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, pattern := a.mux.Handler(r); pattern == "" || !isClean(r.URL.EscapedPath()) {
		a.refuse(w, r, h)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// isClean reports whether a path has no empty segment, "." or "..". The mux would redirect the
// client to the path without them, which names something else.
func isClean(p string) bool {
	cleaned := path.Clean(p)
	return p == cleaned || p == cleaned+"/"
}

// refuse answers a request that no route serves, with an error in the API's own form. The answer
// of the mux says whether it is a 405; everything else is a 404.
func (a *API) refuse(w http.ResponseWriter, req *http.Request, h http.Handler) {
	r := &request{Request: req}
	defer a.drain.run(w, req)
	said := headersOnly{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(&said, req)
	if said.status != http.StatusMethodNotAllowed {
		a.fail(w, r, &statusError{status: http.StatusNotFound, message: "There is nothing at this path"})
		return
	}
	w.Header()["Allow"] = said.header["Allow"]
	a.fail(w, r, &statusError{status: http.StatusMethodNotAllowed,
		message: "This path does not have the method " + r.Method})
}

// headersOnly is a ResponseWriter that keeps the status and the header.
type headersOnly struct {
	header http.Header
	status int
}

func (h *headersOnly) Header() http.Header         { return h.header }
func (h *headersOnly) WriteHeader(status int)      { h.status = status }
func (h *headersOnly) Write(p []byte) (int, error) { return len(p), nil }

// serve is the way of every request: authenticate it, find a place for it, read it, handle it,
// answer it. It keeps its place until the answer is written, so that clients that do not read
// cannot fill the memory with answers.
func (a *API) serve(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := &request{Request: r}
		a.serveRequest(route, w, req)
		if !req.bodyRead {
			a.drain.run(w, r)
		}
	})
}

func (a *API) serveRequest(route route, w http.ResponseWriter, r *request) {
	if !route.public {
		if err := a.admit(r, route.need); err != nil {
			a.fail(w, r, err)
			return
		}
		defer func() { r.place.release() }() // a request that waits has another one by then
	}
	res, err := a.respond(route, w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if res.stream != nil {
		res.stream(w)
		return
	}
	a.answer(w, r, res)
}

// admit authenticates the request, checks its role, and takes a place for it.
func (a *API) admit(r *request, need webhook.Role) (err error) {
	if err = a.identify(r); err == nil {
		err = r.allow(need)
	}
	if err != nil {
		return err
	}
	r.place, err = a.requests.admit(r.organizationID)
	return err
}

func (a *API) respond(route route, w http.ResponseWriter, r *request) (*response, error) {
	var err error
	if r.body, err = a.readBody(w, r); err != nil {
		return nil, err
	}
	if route.works {
		release, err := a.takeWork(r.Context(), r.organizationID)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	if !route.waits {
		whole := r.Request
		ctx, cancel := context.WithTimeout(r.Context(), handleTime)
		r.Request = r.WithContext(ctx)
		defer func() {
			cancel()
			r.Request = whole
		}()
	}
	return route.handle(r)
}

// handleTime is how long a request may take once it is read, so that a store that does not answer
// does not keep its place. It is longer than the bound of each operation that has one of its own.
const handleTime = time.Minute

// workWait is how long a request waits for its turn to compile or render templates.
const workWait = 5 * time.Second

func (a *API) takeWork(ctx context.Context, organizationID string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, workWait)
	defer cancel()
	return a.work.take(ctx, organizationID)
}
