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

// Options say what the suite must know about the receiver under test. Secret or Signer is
// required. In all other fields zero means the default, and a negative number is an error.
type Options struct {
	// Credentials are what the receiver accepts, and requires.
	Credentials
	// EventType is a type for which the receiver has a handler.
	// Defaults to [event.ObjectCreated].
	EventType string
	// MaxBody is the receiver's limit for a body in bytes.
	// Defaults to [receiver.DefaultMaxBody].
	MaxBody int64
	// MaxDecoded is the receiver's limit in bytes for a body with Content-Encoding gzip,
	// decompressed. Zero means that it accepts no such body.
	MaxDecoded int64
	// ReadTimeout is how long the receiver waits for a body. Zero means that this is
	// unknown, and the rule about slow bodies is not tried.
	ReadTimeout time.Duration
	// Handled returns how often the receiver has handled an event. Handled, Hold and Fail must be safe
	// for concurrent use. Nil means that this cannot be found out, and only answers are checked.
	Handled func(ctx context.Context, eventID string) (int, error)
	// Hold makes the receiver's handler wait for an event until release is called. If the
	// receiver stores events first, storing must wait. Hold is called before the event is
	// sent. Nil means that the receiver cannot be held, and the rule about copies of an
	// event that is being handled is not tried.
	Hold func(ctx context.Context, eventID string) (release func(), err error)
	// Fail makes the receiver's handler fail for an event until recovered is called. It is
	// called before the event is sent. Nil means that the handler cannot be made to fail,
	// and the rule about failing handlers is not tried.
	Fail func(ctx context.Context, eventID string) (recovered func(), err error)
	// Others are further credentials that the receiver accepts, such as the new key
	// during a rotation. Defaults to none.
	Others []Credentials
	// Retired are credentials that the receiver no longer accepts.
	// Defaults to none.
	Retired []Credentials
	// Timeout bounds the whole run. A rule that has not been tried by then counts as broken. A request
	// may take 15 seconds, and a rule 30 seconds plus ReadTimeout. Defaults to [DefaultTimeout].
	Timeout time.Duration
	// Except lists the rules, by [Rule.Name], that are not tried, because the receiver
	// breaks them on purpose. Defaults to none.
	Except []string
	// Tried is called by Verify after each rule, in order, to show how far the run is. It is not called
	// by Run. Nil calls nothing.
	Tried func(Result)
	// Client makes the requests. It must not follow redirects.
	// Defaults to a client that does not.
	Client *http.Client
}

// DefaultTimeout is the default of [Options.Timeout]. A run against a correct and fast receiver
// takes about ReadTimeout plus two seconds.
const DefaultTimeout = 2 * time.Minute

// Run tests the receiver at the URL. Each rule is a subtest that fails if the receiver
// breaks the rule.
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
			result := s.verify(ctx, rule)
			switch {
			case result.NotTried != "":
				t.Logf("not tried: %s", result.NotTried)
			case result.Err != nil:
				t.Errorf("%v\nthe rule: %s", result.Err, rule.Why)
			}
		})
	}
}

// Verify is [Run] outside of a test. It returns an error if the URL or the options are invalid; the
// Report says whether the receiver keeps the rules.
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
		result := s.verify(ctx, rule)
		report.Results = append(report.Results, result)
		if s.Tried != nil {
			s.Tried(result)
		}
	}
	return report, nil
}

// A Report has the results of a run.
type Report struct {
	// Results has one result for each rule, in the order in which they were tried.
	Results []Result
}

// A Result is the result of trying one rule.
type Result struct {
	// Rule is the rule.
	Rule Rule
	// Err says how the receiver broke the rule. It is nil if the receiver kept the rule or
	// the rule was not tried.
	Err error
	// NotTried says why the rule was not tried: it needs an option that is missing, or it
	// is excepted. It is empty if the rule was tried.
	NotTried string
}

// A Rule is something that a receiver must do.
type Rule struct {
	// Name is a short name, such as "wrong secret".
	Name string
	// Why says what the receiver must do, and why.
	Why string

	needs func(*suite) string // returns which option is missing, or ""
	check func(context.Context, *suite) error
}

// Broken returns the names of the rules that the receiver breaks.
func (r *Report) Broken() []string {
	var names []string
	for _, v := range r.Results {
		if v.Err != nil {
			names = append(names, v.Rule.Name)
		}
	}
	return names
}

// String has a line for each rule, and for a broken one a second line with the rule.
func (r *Report) String() string {
	var b strings.Builder
	for _, v := range r.Results {
		switch {
		case v.NotTried != "":
			fmt.Fprintf(&b, "not tried  %s (%s)\n", v.Rule.Name, v.NotTried)
		case v.Err != nil:
			fmt.Fprintf(&b, "BROKEN     %s: %v\n           the rule: %s\n", v.Rule.Name, v.Err,
				v.Rule.Why)
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
	first message // the first one with a 2xx, which is sent again at the end

	mu   sync.Mutex
	leak error // the secret that an answer contained
}

const (
	// requestTimeout bounds each request.
	requestTimeout = 15 * time.Second
	// ruleTimeout and ReadTimeout together bound each rule.
	ruleTimeout = 30 * time.Second
)

func newSuite(target string, o Options) (*suite, error) {
	var p event.Problems
	if u, err := url.Parse(target); err != nil || u.Host == "" ||
		u.Scheme != "http" && u.Scheme != "https" {
		p.Add("url", "must be an http or https URL")
	}
	if o.Secret == "" && o.Signer == nil {
		p.Add("Credentials", "Secret or Signer is required")
	}
	for _, option := range []struct {
		name     string
		negative bool
	}{
		{"MaxBody", o.MaxBody < 0},
		{"MaxDecoded", o.MaxDecoded < 0},
		{"ReadTimeout", o.ReadTimeout < 0},
		{"Timeout", o.Timeout < 0},
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
			Transport: transport,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		}
	}
	return s, nil
}

func (s *suite) verify(ctx context.Context, rule Rule) Result {
	v := Result{Rule: rule}
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
		v.Err = errors.Join(v.Err, fmt.Errorf("the run did not end within Options.Timeout, %v",
			s.Timeout))
	case ctx.Err() != nil:
		v.Err = errors.Join(v.Err, context.Cause(ctx))
	}
	return v
}

var errNotHandled = errors.New("the receiver's handler was not called")

// handledWithin is how long the suite waits for an acknowledged event to be handled: the
// receiver may store events first.
const handledWithin = time.Second / 2

// handled checks how often an event was handled, if Options.Handled is set.
func (s *suite) handled(ctx context.Context, id string, want int) error {
	if s.Handled == nil {
		return nil
	}
	for start := time.Now(); ; {
		got, err := s.Handled(ctx, id)
		switch {
		case err != nil:
			return fmt.Errorf("Options.Handled: %w", err)
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
