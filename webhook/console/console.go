package console

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/configs"
)

// Console is the web console, an [http.Handler]. Make one with [New]. It is safe for concurrent
// use.
type Console struct {
	dispatcher *dispatch.Dispatcher
	authorize  func(*http.Request) (Identity, error)
	cfg        Config
	fields     configs.Fields
	mux        *http.ServeMux
	pages      pages
	assets     map[string]asset // by the name in the URL
	urls       map[string]string
	places     places
}

// New returns a Console. It calls authorize for every request, except those for its own style
// sheet, script and icon. authorize must be safe for concurrent use.
//
// New returns an [*event.ValidationError] that lists every invalid field of cfg, and an error if d
// or authorize is nil.
func New(
	d *dispatch.Dispatcher, authorize func(*http.Request) (Identity, error), cfg Config,
) (*Console, error) {
	if d == nil || authorize == nil {
		return nil, errors.New("console: New: needs a dispatcher and an Authorize function")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Console{
		dispatcher: d, authorize: authorize, cfg: cfg, fields: configs.Of(d.Channels()),
		places: places{all: cfg.MaxRequests, each: cfg.MaxRequestsPerOrganization,
			used: map[string]int{}},
	}
	if c.assets, c.urls, err = loadAssets(cfg.Prefix); err != nil {
		return nil, err
	}
	if c.pages, err = compiledPages(); err != nil {
		return nil, err
	}
	c.mux = http.NewServeMux()
	c.mux.HandleFunc("GET "+cfg.Prefix+"/static/{name}", c.serveAsset)
	for _, r := range c.routes() {
		c.mux.Handle(r.method+" "+cfg.Prefix+r.path, c.serve(r))
	}
	return c, nil
}

// route is one page or action. Its path is relative to the prefix.
type route struct {
	method, path string
	need         right
	handle       func(*request) error
	// global is for a page that is about no organization in particular.
	global bool
}

func (c *Console) routes() []route {
	list := []route{
		{"GET", "/{$}", toRead, c.overview, true},
		{"GET", "/subscriptions", toRead, c.listSubscriptions, false},
		{"GET", "/subscriptions/new", toAdminister, c.newSubscription, false},
		{"POST", "/subscriptions/new", toAdminister, c.createSubscription, false},
		{"GET", "/subscriptions/{id}", toRead, c.showSubscription, false},
		{"POST", "/subscriptions/{id}/reveal", toReveal, c.revealSecrets, false},
		{"GET", "/subscriptions/{id}/edit", toAdminister, c.editSubscription, false},
		{"POST", "/subscriptions/{id}/edit", toAdminister, c.updateSubscription, false},
		{"POST", "/subscriptions/{id}/pause", toOperate, c.pause, false},
		{"POST", "/subscriptions/{id}/resume", toOperate, c.resume, false},
		{"POST", "/subscriptions/{id}/enable", toOperate, c.enableEndpoint, false},
		{"POST", "/subscriptions/{id}/disable", toOperate, c.disableEndpoint, false},
		{"GET", "/subscriptions/{id}/rotate", toAdminister, c.confirmRotation, false},
		{"POST", "/subscriptions/{id}/rotate", toAdminister, c.rotate, false},
		{"POST", "/subscriptions/{id}/drop-previous", toAdminister, c.dropPrevious, false},
		{"GET", "/subscriptions/{id}/delete", toAdminister, c.confirmDeletion, false},
		{"POST", "/subscriptions/{id}/delete", toAdminister, c.deleteSubscription, false},
		{"GET", "/subscriptions/{id}/test", toOperate, c.showTest, false},
		{"POST", "/subscriptions/{id}/test", toOperate, c.sendTest, false},
		{"GET", "/deliveries", toRead, c.listDeliveries, false},
		{"GET", "/deliveries/{id}", toRead, c.showDelivery, false},
		{"POST", "/deliveries/{id}/replay", toOperate, c.replayDelivery, false},
		{"POST", "/deliveries/{id}/cancel", toOperate, c.cancelDelivery, false},
		{"POST", "/deliveries/{id}/skip", toOperate, c.skipDelivery, false},
		{"GET", "/dead", toRead, c.listDead, false},
		{"POST", "/dead/replay", toOperate, c.replaySelected, false},
		{"GET", "/dead/replay-all", toOperate, c.confirmReplayAll, false},
		{"POST", "/dead/replay-all", toOperate, c.replayAll, false},
		{"GET", "/replays", toRead, c.listReplays, false},
		{"GET", "/replays/{id}", toRead, c.showReplay, false},
		{"POST", "/replays/{id}/stop", toOperate, c.stopReplay, false},
		{"GET", "/events", toRead, c.showCatalogue, false},
		{"GET", "/templates", toRead, c.showPreview, false},
		{"POST", "/templates", toRead, c.preview, false},
	}
	if c.cfg.APIKeys != nil {
		list = append(list,
			route{"GET", "/api-keys", toAdminister, c.listAPIKeys, false},
			route{"GET", "/api-keys/new", toAdminister, c.newAPIKey, false},
			route{"POST", "/api-keys/new", toAdminister, c.createAPIKey, false},
			route{"GET", "/api-keys/{id}/revoke", toAdminister, c.confirmRevocation, false},
			route{"POST", "/api-keys/{id}/revoke", toAdminister, c.revokeAPIKey, false})
	}
	return list
}

// ServeHTTP serves the console. The path of the request must begin with the prefix.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if c.cfg.Nonce == nil {
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; "+
			"img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "+
			"frame-ancestors 'none'")
	}
	h.Set("Cache-Control", "no-store")
	if r.URL.Path == c.cfg.Prefix {
		http.Redirect(w, r, c.cfg.Prefix+"/", http.StatusSeeOther)
		return
	}
	if _, pattern := c.mux.Handler(r); pattern == "" {
		// The mux says whether it is a 405 or a redirect; people get a page.
		q := &request{Request: r, console: c, w: w}
		if q.identify() {
			q.fail(webhook.ErrNotFound)
		}
		return
	}
	c.mux.ServeHTTP(w, r)
}

// maxForm is how many bytes a form may have.
const maxForm = 1 << 20

const (
	// requestTime bounds the work for one request.
	requestTime = 28 * time.Second
	// formTime and answerTime are how long a browser may take to send a form and to read a page. It
	// has a place meanwhile that others could use.
	formTime   = 10 * time.Second
	answerTime = 10 * time.Second
)

// serve is the way of every request: its origin, who makes it, for which organization, whether
// they may, and whether there is room.
func (c *Console) serve(route route) http.Handler {
	protection := http.NewCrossOriginProtection()
	return protection.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTime)
		defer cancel()
		q := &request{Request: r.WithContext(ctx), console: c, w: w, global: route.global}
		if !q.identify() {
			return
		}
		if !q.identity.has(route.need) {
			q.fail(ErrForbidden)
			return
		}
		leave, err := c.places.enter(q.place())
		if err != nil {
			q.fail(err)
			return
		}
		defer leave()
		if r.Method == http.MethodPost {
			connection := http.NewResponseController(w)
			_ = connection.SetReadDeadline(time.Now().Add(formTime)) // fails for the recorder of a test
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			q.Body = r.Body
			if err := q.ParseForm(); err != nil {
				q.fail(&statusError{http.StatusBadRequest, "The form could not be read."})
				return
			}
			_ = connection.SetReadDeadline(time.Time{})
		}
		if err := route.handle(q); err != nil {
			q.fail(err)
		}
	}))
}

// request is a request from a person who may see the organization.
type request struct {
	*http.Request
	console  *Console
	w        http.ResponseWriter
	identity Identity
	// organizationID is the organization of the page. none says that it is of no organization.
	organizationID string
	none           bool
	global         bool
}

// identify finds out who makes the request, and which organization it is about. If it returns
// false, it has answered.
func (q *request) identify() bool {
	var err error
	if q.identity, err = q.console.authorize(q.Request); err != nil {
		q.identity = Identity{}
		q.none = true
		q.fail(err)
		return false
	}
	named, ok := q.URL.Query()["organization"]
	switch {
	case ok:
		q.organizationID = named[0]
	case len(q.identity.Organizations) > 0:
		q.organizationID = q.identity.Organizations[0]
		q.none = q.identity.Operator && q.global
	default:
		q.none = true
	}
	if q.none && !(q.global && q.identity.Operator) || !q.none && !q.identity.sees(q.organizationID) {
		q.none = true
		q.fail(webhook.ErrNotFound)
		return false
	}
	return true
}

// place names what the request takes a place of.
func (q *request) place() string {
	if q.none {
		return "identity " + q.identity.Name
	}
	return "organization " + q.organizationID
}

// name is who makes the request, in 1 to 200 bytes, as a change of an endpoint takes it.
func (q *request) name() string {
	name := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(q.identity.Name, ""))
	if len(name) > 200 {
		name = strings.ToValidUTF8(name[:200], "")
	}
	if name == "" {
		return "console"
	}
	return name
}

// audit tells of a change, and returns its error.
func (q *request) audit(change Change, err error) error {
	if q.console.cfg.Audit != nil {
		change.Identity, change.OrganizationID, change.Err = q.identity, q.organizationID, err
		q.console.cfg.Audit(q.Context(), change)
	}
	return err
}

// redirect sends the browser to another page of the console.
func (q *request) redirect(to string) error {
	http.Redirect(q.w, q.Request, to, http.StatusSeeOther)
	return nil
}

// link returns the URL of a page of the console, for the same organization, with the pairs of
// names and values in its query. Empty values are left out.
func (q *request) link(to string, pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if q.carries() {
		values.Set("organization", q.organizationID)
	}
	if len(values) == 0 {
		return q.console.cfg.Prefix + to
	}
	return q.console.cfg.Prefix + to + "?" + values.Encode()
}

// carries reports whether links name the organization, because there is more than one to choose
// from.
func (q *request) carries() bool {
	return !q.none && (q.identity.Operator || len(q.identity.Organizations) > 1)
}

// statusError is an error with a text for people.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

// fail answers with an error.
func (q *request) fail(err error) {
	status, text := http.StatusInternalServerError, "Something went wrong on our side. Try again in a moment."
	var known *statusError
	var limit *webhook.LimitError
	var invalid *event.ValidationError
	switch {
	case errors.As(err, &known):
		status, text = known.status, known.text
	case errors.Is(err, webhook.ErrNotFound):
		status, text = http.StatusNotFound, "There is nothing here, or it is not yours to see."
	case errors.Is(err, ErrUnauthenticated):
		status, text = http.StatusUnauthorized, "Sign in to see this page."
	case errors.Is(err, ErrForbidden), errors.Is(err, apikey.ErrRights):
		status, text = http.StatusForbidden, "Your role does not allow this."
	case errors.Is(err, webhook.ErrConflict):
		status, text = http.StatusConflict,
			"Someone else has changed this in the meantime. Look at it again, then repeat your change."
	case errors.Is(err, webhook.ErrWrongStatus):
		status, text = http.StatusConflict, "The delivery is in a state that does not allow this. "+
			"Look at it again: it may have been settled, or replayed, in the meantime."
	case errors.As(err, &limit):
		status, text = http.StatusTooManyRequests, "A limit of the organization is reached: at most "+
			limitText(limit)
	case errors.As(err, &invalid):
		status, text = http.StatusUnprocessableEntity, invalid.Error()
	case q.Context().Err() != nil:
		status, text = http.StatusServiceUnavailable, "This took too long. Try again in a moment."
	case errors.Is(err, webhook.ErrUnavailable):
		status, text = http.StatusServiceUnavailable, "The database does not answer. Try again in a moment."
	}
	if status >= 500 {
		q.console.cfg.Logger.Error("console: request failed", "method", q.Method,
			"path", q.URL.Path, "organization_id", q.organizationID, "error", err)
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		q.w.Header().Set("Retry-After", "2")
	}
	q.none = q.none || status == http.StatusUnauthorized
	q.render(status, "error", page{Title: http.StatusText(status)}, struct {
		Status int
		Text   string
	}{status, text})
}

// places bounds the requests in progress.
type places struct {
	all, each int

	mu    sync.Mutex
	taken int
	used  map[string]int
}

// enter takes a place for a user of places, who may have no more of them than are free. The caller
// must call leave.
func (p *places) enter(user string) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken >= p.all:
		return nil, &statusError{http.StatusServiceUnavailable,
			"Too much is going on right now. Try again in a moment."}
	case p.used[user] >= min(p.each, max(1, p.all-p.taken)):
		return nil, &statusError{http.StatusTooManyRequests,
			"Too many pages are being loaded at once. Try again in a moment."}
	}
	p.taken++
	p.used[user]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken--
		if p.used[user]--; p.used[user] == 0 {
			delete(p.used, user)
		}
	}, nil
}

//go:embed static
var static embed.FS

// asset is a file that is served as it is.
type asset struct {
	kind string
	text []byte
}

// loadAssets returns the files by the name in their URL, and the URLs by the names of the files.
func loadAssets(prefix string) (assets map[string]asset, urls map[string]string, err error) {
	assets, urls = map[string]asset{}, map[string]string{}
	for name, kind := range map[string]string{"console.css": "text/css; charset=utf-8",
		"console.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		text, err := static.ReadFile("static/" + name)
		if err != nil {
			return nil, nil, err
		}
		sum := sha256.Sum256(text)
		extension := path.Ext(name)
		hashed := strings.TrimSuffix(name, extension) + "-" + hex.EncodeToString(sum[:6]) + extension
		assets[hashed] = asset{kind, text}
		urls[name] = prefix + "/static/" + hashed
	}
	return assets, urls, nil
}

func (c *Console) serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := c.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(a.text)
}
