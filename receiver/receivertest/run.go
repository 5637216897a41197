package receivertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
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
	// Fail makes the receiver's handler fail for an event until recovered is
	// called. It is called before the event is sent. Nil means that the handler
	// cannot be made to fail, and what a failure is answered with is not tried.
	Fail func(ctx context.Context, eventID string) (recovered func(), err error)
	// Others are further credentials that the receiver accepts, such as the other
	// key while keys are changed. Defaults to none.
	Others []Credentials
	// Retired are credentials that the receiver does not accept any more.
	// Defaults to none.
	Retired []Credentials
	// Timeout bounds the whole run: what has not been tried by then counts as
	// broken. One request may take 15 seconds, and one rule 30 and ReadTimeout.
	// Defaults to [DefaultTimeout].
	Timeout time.Duration
	// Except names the rules ([Rule.Name]) that are not tried, because the
	// receiver has good reasons to do otherwise. Defaults to none.
	Except []string
	// Client makes the requests. It is to follow no redirects.
	// Defaults to a client of the suite's own.
	Client *http.Client
}

// DefaultTimeout bounds a run. A receiver that is right and answers quickly takes
// about ReadTimeout and two seconds.
const DefaultTimeout = 2 * time.Minute

// Run sends the receiver at the URL all that a receiver has to cope with. Each
// rule is a subtest that fails if the rule is broken.
func Run(t *testing.T, url string, o Options) {
	t.Helper()
	s, err := newSuite(url, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	for _, rule := range rules {
		t.Run(rule.Name, func(t *testing.T) {
			verdict := s.verify(ctx, rule)
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
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
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
	first message // the first that was acknowledged, to be sent again at the end

	mu   sync.Mutex
	leak error // what an answer has told
}

const (
	// requestTimeout bounds each request whose receiver is expected to answer.
	requestTimeout = 15 * time.Second
	// ruleTimeout bounds each rule; ReadTimeout comes on top.
	ruleTimeout = 30 * time.Second
)

func newSuite(target string, o Options) (*suite, error) {
	var p event.Problems
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		p.Add("url", "must be an http or https URL")
	}
	if o.Secret == "" && o.Signer == nil {
		p.Add("Credentials", "Secret or Signer is required")
	}
	for _, option := range []struct {
		name     string
		negative bool
	}{
		{"MaxBody", o.MaxBody < 0}, {"MaxDecoded", o.MaxDecoded < 0}, {"ReadTimeout", o.ReadTimeout < 0}, {"Timeout", o.Timeout < 0},
	} {
		if option.negative {
			p.Add(option.name, "must not be negative")
		}
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
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
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
	if v.NotTried != "" {
		return v
	}
	ruleCtx, cancel := context.WithTimeout(ctx, ruleTimeout+s.ReadTimeout)
	defer cancel()
	if ctx.Err() == nil {
		v.Err = rule.check(ruleCtx, s)
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		v.Err = errors.Join(v.Err, fmt.Errorf("the run was not over within Options.Timeout, %v", s.Timeout))
	case ctx.Err() != nil:
		v.Err = errors.Join(v.Err, context.Cause(ctx))
	}
	return v
}

var errNotHandled = errors.New("the receiver's handler was not called")

// handledWithin is how long the effect of an acknowledged event is waited for: a
// receiver may store it first.
const handledWithin = time.Second / 2

// handled checks how often an event had its effect, where that can be known.
func (s *suite) handled(ctx context.Context, id string, want int) error {
	if s.Handled == nil {
		return nil
	}
	for start := time.Now(); ; {
		got, err := s.Handled(ctx, id)
		switch {
		case err != nil:
			return fmt.Errorf("asking how often it was handled: %w", err)
		case got == want:
			return nil
		case got > want:
			return fmt.Errorf("the event was handled %d times instead of %d", got, want)
		case time.Since(start) < handledWithin:
			time.Sleep(5 * time.Millisecond)
		case got == 0:
			return errNotHandled
		default:
			return fmt.Errorf("the event was handled %d times instead of %d", got, want)
		}
	}
}
