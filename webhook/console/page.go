package console

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
)

//go:embed templates
var templates embed.FS

// pages are the compiled templates, by the names of their files.
type pages map[string]*template.Template

// compiledPages compiles the templates once, because they are the same for every Console.
var compiledPages = sync.OnceValues(loadPages)

// loadPages compiles layout.html and parts.html with each other file.
func loadPages() (pages, error) {
	base, err := template.New("layout.html").Funcs(functions).ParseFS(templates,
		"templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, err
	}
	compiled := pages{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templates, file)
		}
		if err != nil {
			return nil, err
		}
		compiled[name] = t
	}
	return compiled, nil
}

// page is what every page has.
type page struct {
	// Title is the heading, Section the entry of the navigation that it belongs to.
	Title, Section string
	// Live is after how many seconds the script loads the page again. 0 is never.
	Live int
	// Notice says what was just done.
	Notice string
	// Body is the page's own data.
	Body any

	q *request
}

// notices are what a page can say was done, by the value of "done" in its query.
var notices = map[string]string{
	"created":   "The subscription is created. Send a test to see that it works.",
	"updated":   "Your changes are saved.",
	"deleted":   "The subscription is deleted.",
	"paused":    "The subscription is paused. Its deliveries wait.",
	"resumed":   "The subscription is active again.",
	"enabled":   "The endpoint is enabled again. What has waited goes out, slowly at first; the first success confirms that it works.",
	"disabled":  "The endpoint is disabled. Its deliveries wait.",
	"replayed":  "The delivery goes out again.",
	"cancelled": "The delivery is cancelled.",
	"skipped":   "The delivery is skipped. The next event about its subject has its turn.",
	"stopped":   "The replay is stopped. What it has replayed goes out.",
	"revoked":   "The API key is revoked. Requests with it are refused from now on.",
	"dropped":   "Only the newest signing secret is in use now.",
}

// render answers with a page.
func (q *request) render(status int, name string, p page, body any) {
	p.q, p.Body = q, body
	if p.Notice == "" {
		p.Notice = notices[q.URL.Query().Get("done")]
	}
	var text bytes.Buffer
	if err := q.console.pages[name].Execute(&text, &p); err != nil {
		q.console.cfg.Logger.Error("console: page failed", "page", name, "error", err)
		http.Error(q.w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	q.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	q.w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	connection := http.NewResponseController(q.w)
	_ = connection.SetWriteDeadline(time.Now().Add(answerTime)) // fails for the recorder of a test
	q.w.WriteHeader(status)
	_, err := q.w.Write(text.Bytes())
	if err == nil {
		err = connection.Flush()
	}
	if err == nil || errors.Is(err, http.ErrNotSupported) { // the connection may be used again
		_ = connection.SetWriteDeadline(time.Time{})
	}
}

// show answers with a page, and returns nil.
func (q *request) show(name string, p page, body any) error {
	q.render(http.StatusOK, name, p, body)
	return nil
}

// Link returns the URL of a page of the console: see [request.link].
func (p *page) Link(to string, pairs ...string) string { return p.q.link(to, pairs...) }

// Asset returns the URL of a file.
func (p *page) Asset(name string) string { return p.q.console.urls[name] }

// Nonce returns the nonce of the page's script and style sheet.
func (p *page) Nonce() string {
	if p.q.console.cfg.Nonce == nil {
		return ""
	}
	return p.q.console.cfg.Nonce(p.q.Request)
}

// Brand returns what the service is called.
func (p *page) Brand() string { return p.q.console.cfg.Title }

// Identity returns who the page is for.
func (p *page) Identity() *Identity { return &p.q.identity }

// Known reports whether it is known who asks, so that the page has a navigation.
func (p *page) Known() bool { return p.q.identity.Operator || len(p.q.identity.Organizations) > 0 }

// Organization returns the organization of the page, and OfOne whether it has one.
func (p *page) Organization() string { return p.q.organizationID }

// OfOne reports whether the page is of one organization.
func (p *page) OfOne() bool { return !p.q.none }

// Carry reports whether forms that are sent with GET have to carry the organization: their action's
// query is replaced.
func (p *page) Carry() bool { return p.q.carries() }

// Switch returns the URL of the overview of another organization.
func (p *page) Switch(organizationID string) string {
	return p.LinkIn(organizationID, "/")
}

// LinkIn returns the URL of a page of another organization.
func (p *page) LinkIn(organizationID, to string) string {
	return p.q.console.cfg.Prefix + to + "?organization=" + template.URLQueryEscaper(organizationID)
}

// Home returns the URL of the page of no organization.
func (p *page) Home() string { return p.q.console.cfg.Prefix + "/" }

// HasAPIKeys reports whether there are pages of API keys, and the identity may see them.
func (p *page) HasAPIKeys() bool { return p.q.console.cfg.APIKeys != nil && p.MayAdminister() }

// MayOrder reports whether the store can deliver in order.
func (p *page) MayOrder() bool { return p.q.console.dispatcher.Capabilities().Ordering != nil }

// Query returns a value of the query.
func (p *page) Query(name string) string { return p.q.URL.Query().Get(name) }

// MayOperate, MayAdminister and MayReveal report what the identity may do.
func (p *page) MayOperate() bool { return p.q.identity.has(toOperate) }

// MayAdminister reports whether the identity may change subscriptions.
func (p *page) MayAdminister() bool { return p.q.identity.has(toAdminister) }

// MayReveal reports whether the identity may see secrets.
func (p *page) MayReveal() bool { return p.q.identity.has(toReveal) }

// functions are what all templates can use.
var functions = template.FuncMap{
	"number":   number,
	"bytes":    func(n int) string { return compact(int64(n)) + "B" },
	"rate":     func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) },
	"percent":  percent,
	"ago":      func(t time.Time) string { return ago(time.Since(t)) },
	"until":    func(t time.Time) string { return ago(time.Until(t)) },
	"past":     func(t time.Time) bool { return time.Until(t) <= 0 },
	"duration": duration,
	"span":     span,
	"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock":    func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
	"word":     word,
	"describe": func(c *webhook.EndpointCause) string {
		return channel.Describe(channel.Class(c.Class), c.Error)
	},
	"short": short,
	"pair":  func(values ...any) []any { return values },
	"sub1":  func(n int) int { return n - 1 },
}

// word returns a status, health or class as it is read.
func word(v any) string {
	switch v := fmt.Sprint(v); v {
	case string(webhook.StatusSucceeded):
		return "delivered"
	default:
		return strings.ReplaceAll(v, "_", " ")
	}
}

// number writes a number with thin spaces between thousands.
func number(v any) string {
	text := fmt.Sprint(v)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return sign + text
}

// percent writes a share of 0 to 1, and never rounds a share that is less up to 100 %.
func percent(share float64) string {
	switch {
	case math.IsNaN(share):
		return "–"
	case share == 1:
		return "100\u202f%"
	}
	return strconv.FormatFloat(math.Floor(share*1000)/10, 'f', 1, 64) + "\u202f%"
}

// ago writes how long something is away, in one unit.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " days"
}

// span writes a length of time that a person has set.
func span(d time.Duration) string {
	text := strings.TrimSuffix(d.String(), "m0s")
	if text != d.String() {
		text = strings.TrimSuffix(text+"m", "h0m")
		if !strings.HasSuffix(text, "m") {
			text += "h"
		}
	}
	return text
}

// duration writes how long an attempt took.
func duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "<\u202f1\u202fms"
	case d < time.Second:
		return strconv.Itoa(int(d.Milliseconds())) + "\u202fms"
	default:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + "\u202fs"
	}
}

// short cuts a text that is long.
func short(most int, text string) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// limitText says what a limit is.
func limitText(e *webhook.LimitError) string {
	text := number(e.Max) + " " + e.Limit + "."
	if e.RetryAfter > 0 {
		text += " Try again in " + ago(e.RetryAfter) + "."
	}
	return text
}
