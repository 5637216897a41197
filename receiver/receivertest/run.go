package receivertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
)

// Options say what the suite has to know about the receiver under test. At
// least one of Secret and Signer is required.
type Options struct {
	// Credentials are what the receiver accepts. What is set here is what it
	// must insist on.
	Credentials
	// EventType is a type that the receiver handles.
	// Defaults to [event.ObjectCreated].
	EventType string
	// MaxBody is the receiver's limit in bytes.
	// Defaults to [receiver.DefaultMaxBody].
	MaxBody int64
	// MaxDecoded is the receiver's limit in bytes for what a body with
	// Content-Encoding gzip unpacks to. Zero means that it takes no such body.
	MaxDecoded int64
	// ReadTimeout is how long the receiver waits for a body. Zero means that
	// it is not known, and slow bodies are not tried.
	ReadTimeout time.Duration
	// Handled returns how often the receiver's handler has had its effect for
	// an event. Nil means that it cannot be asked, and only answers are looked
	// at.
	Handled func(ctx context.Context, eventID string) (int, error)
	// Hold keeps the receiver from handling an event until release is called:
	// its handler waits, or whatever has to be done before the event may be
	// acknowledged. It is called before the event is sent. Nil means that the
	// receiver cannot be held, and what it answers to a copy of an event that
	// is being handled is not tried.
	Hold func(ctx context.Context, eventID string) (release func(), err error)
	// Except names the rules ([Rule.Name]) that are not tried, because the
	// receiver has good reasons to do otherwise. Defaults to none.
	Except []string
	// Client makes the requests. It is to follow no redirects.
	// Defaults to a client of the suite's own.
	Client *http.Client
}

// Run sends the receiver at the URL all that a receiver has to cope with. Each
// rule is a subtest that fails if the rule is broken.
func Run(t *testing.T, url string, o Options) {
	t.Helper()
	s, err := newSuite(url, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, rule := range rules {
		t.Run(rule.Name, func(t *testing.T) {
			verdict := s.verify(t.Context(), rule)
			switch {
			case verdict.NotTried != "":
				t.Logf("not tried: %s", verdict.NotTried)
			case verdict.Err != nil:
				t.Errorf("%v\nthe rule: %s", verdict.Err, rule.Why)
			}
		})
	}
}

// Verify does what [Run] does, outside of a test. The error says that it could
// not start; whether the receiver keeps the rules is in the Report.
func Verify(ctx context.Context, url string, o Options) (*Report, error) {
	s, err := newSuite(url, o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	report := new(Report)
	for _, rule := range rules {
		report.Verdicts = append(report.Verdicts, s.verify(ctx, rule))
	}
	return report, nil
}

// A Report says which rules a receiver keeps.
type Report struct {
	// Verdicts has one for each rule, in the order in which they were tried.
	Verdicts []Verdict
}

// A Verdict is what was found about one rule.
type Verdict struct {
	// Rule is what was tried.
	Rule Rule
	// Err says how the rule was broken. Nil if it was kept or not tried.
	Err error
	// NotTried says which option the rule needs, or that it is excepted. Empty
	// if it was tried.
	NotTried string
}

// A Rule is what a receiver has to do.
type Rule struct {
	// Name is short: "wrong secret".
	Name string
	// Why says what the receiver has to do, and what for.
	Why string

	needs func(*suite) string // what is missing to try it
	check func(context.Context, *suite) error
}

// Broken returns the names of the rules that the receiver breaks.
func (r *Report) Broken() []string {
	var names []string
	for _, v := range r.Verdicts {
		if v.Err != nil {
			names = append(names, v.Rule.Name)
		}
	}
	return names
}

// String lists all rules, a line each, and for a broken one what it asks.
func (r *Report) String() string {
	var b strings.Builder
	for _, v := range r.Verdicts {
		switch {
		case v.NotTried != "":
			fmt.Fprintf(&b, "not tried  %s (%s)\n", v.Rule.Name, v.NotTried)
		case v.Err != nil:
			fmt.Fprintf(&b, "BROKEN     %s: %v\n           the rule: %s\n", v.Rule.Name, v.Err, v.Rule.Why)
		default:
			fmt.Fprintf(&b, "kept       %s\n", v.Rule.Name)
		}
	}
	return b.String()
}

// suite is one run against one receiver.
type suite struct {
	Options
	url   string
	close func()
}

// requestTimeout bounds each request whose receiver is expected to answer.
const requestTimeout = 30 * time.Second

func newSuite(target string, o Options) (*suite, error) {
	var p event.Problems
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		p.Add("url", "must be an http or https URL")
	}
	if o.Secret == "" && o.Signer == nil {
		p.Add("Credentials", "Secret or Signer is required")
	}
	for i, name := range o.Except {
		if !slices.ContainsFunc(rules, func(r Rule) bool { return r.Name == name }) {
			p.Add(fmt.Sprintf("Except[%d]", i), "must be the name of a rule")
		}
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if o.EventType == "" {
		o.EventType = event.ObjectCreated
	}
	if o.MaxBody == 0 {
		o.MaxBody = receiver.DefaultMaxBody
	}
	s := &suite{Options: o, url: target, close: func() {}}
	if s.Client == nil {
		transport := &http.Transport{MaxIdleConnsPerHost: rivals}
		s.close = transport.CloseIdleConnections
		s.Client = &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return s, nil
}

func (s *suite) verify(ctx context.Context, rule Rule) Verdict {
	v := Verdict{Rule: rule}
	switch {
	case slices.Contains(s.Except, rule.Name):
		v.NotTried = "in Options.Except"
	case rule.needs != nil:
		v.NotTried = rule.needs(s)
	}
	if v.NotTried == "" {
		ctx, cancel := context.WithTimeout(ctx, 4*requestTimeout+s.ReadTimeout)
		defer cancel()
		v.Err = rule.check(ctx, s)
	}
	return v
}

var errNotHandled = errors.New("the receiver's handler was not called")

// handled checks how often an event had its effect, where that can be known.
func (s *suite) handled(ctx context.Context, id string, want int) error {
	if s.Handled == nil {
		return nil
	}
	got, err := s.Handled(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("asking how often it was handled: %w", err)
	case got == want:
		return nil
	case got == 0:
		return errNotHandled
	default:
		return fmt.Errorf("the event was handled %d times instead of %d", got, want)
	}
}
