package channeltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
)

// fake is an in-process channel with one fault.
type fake struct {
	open func(json.RawMessage) error
	send func(ctx context.Context, hang bool, m *channel.Message) (channel.Result, error)
}

func (f fake) harness() Harness {
	return Harness{
		Driver: channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
			if f.open != nil {
				if err := f.open(config); err != nil {
					return nil, err
				}
			}
			hang := strings.Contains(string(config), "hang")
			return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				if f.send != nil {
					return f.send(ctx, hang, m)
				}
				if hang {
					<-ctx.Done()
				}
				return channel.Result{}, channel.ContextError(ctx)
			}), nil
		}),
		Accepting: func(testing.TB) json.RawMessage { return json.RawMessage(`{}`) },
		Hanging:   func(testing.TB) json.RawMessage { return json.RawMessage(`{"hang":true}`) },
		Bad:       []Bad{{Name: "hm", Config: `{"bad":true}`, Fields: []string{"bad"}}},
		Secrets:   []string{"sesame"},
	}
}

// failing returns the names of the rules that a harness breaks.
func failing(t *testing.T, h Harness) string {
	var names []string
	for _, r := range rules(&h) {
		if err := r.check(t, &h); err != nil {
			names = append(names, r.name)
		}
	}
	return strings.Join(names, " ")
}

func invalid(config json.RawMessage) error {
	var fields map[string]json.RawMessage
	var problems event.Problems
	if json.Unmarshal(config, &fields) != nil || fields == nil {
		problems.Add("", "must be an object")
	}
	if fields["bad"] != nil {
		problems.Add("bad", "must not be there")
	}
	return problems.Err()
}

// capable is a channel with capabilities.
type capable struct {
	channel.Func
	capabilities func() channel.Capabilities
}

func (c capable) Capabilities() channel.Capabilities { return c.capabilities() }

func TestSuiteFindsWrongCapabilities(t *testing.T) {
	t.Parallel()
	calls := 0
	always := func(c channel.Capabilities) func() channel.Capabilities {
		return func() channel.Capabilities { return c }
	}
	for name, c := range map[string]struct {
		capabilities func() channel.Capabilities
		http         bool
		want         string // the rules that are broken
	}{
		"none": {always(channel.Capabilities{}), false, ""},
		"all": {always(channel.Capabilities{Host: "example.com", MaxInFlight: 1,
			Timeout: time.Second}), false, ""},
		"IPv6":         {always(channel.Capabilities{Host: "2606:4700:4700::1111"}), false, ""},
		"target":       {always(channel.Capabilities{Host: "127.0.0.1"}), true, ""},
		"other target": {always(channel.Capabilities{Host: "example.com"}), true, "HostIsTheTargets"},
		"upper case": {always(channel.Capabilities{Host: "Example.com"}), false,
			"HostIsTheTargets"},
		"final dot": {always(channel.Capabilities{Host: "example.com."}), false,
			"HostIsTheTargets"},
		"port": {always(channel.Capabilities{Host: "example.com:443"}), false,
			"HostIsTheTargets"},
		"negative timeout": {always(channel.Capabilities{Timeout: -1}), false, "TimeoutIsPositive"},
		"negative limit": {always(channel.Capabilities{Host: "example.com", MaxInFlight: -1}), false,
			"LimitIsForAHost"},
		"rate": {always(channel.Capabilities{AttemptsPerSecond: 0.5, AttemptBurst: 1}), false, ""},
		"negative rate": {always(channel.Capabilities{AttemptsPerSecond: -1}), false,
			"RateIsNotNegative"},
		"negative burst": {always(channel.Capabilities{AttemptsPerSecond: 1, AttemptBurst: -1}), false,
			"RateIsNotNegative"},
		"burst, no rate": {always(channel.Capabilities{AttemptBurst: 1}), false, "RateIsNotNegative"},
		"limit, no host": {always(channel.Capabilities{MaxInFlight: 1}), false, "LimitIsForAHost"},
		"changes": {func() channel.Capabilities {
			calls++
			return channel.Capabilities{Host: fmt.Sprint("example", calls)}
		}, false, "CapabilitiesStayTheSame"},
	} {
		h := fake{}.harness()
		h.Driver = channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) {
			return capable{func(context.Context, *channel.Message) (channel.Result,
				error) {
				return channel.Result{}, nil
			}, c.capabilities}, nil
		})
		if c.http {
			h.HTTP = &HTTP{Config: func(string) json.RawMessage { return json.RawMessage(`{}`) }}
		}
		var broken []string
		for _, r := range capabilityRules() {
			if err := r.check(t, &h); err != nil {
				broken = append(broken, r.name)
			}
		}
		if got := strings.Join(broken, " "); got != c.want {
			t.Errorf("%s: the suite finds %q, not %q", name, got, c.want)
		}
	}
}

// A driver whose channels change when they are wrapped does not pass.
func TestSuiteFindsWhatWrappingLoses(t *testing.T) {
	t.Parallel()
	calls := 0
	h := fake{}.harness()
	h.Driver = channel.DriverFunc(func(json.RawMessage) (channel.Channel, error) {
		calls++
		limit := calls
		return capable{nil, func() channel.Capabilities {
			return channel.Capabilities{Host: "example.com",
				MaxInFlight: limit}
		}}, nil
	})
	h.Driver = wrapped{h.Driver}
	if err := sameWhenWrapped(t, &h); err == nil {
		t.Error("the suite does not find it")
	}
}

// A suite that cannot fail tests nothing: each rule meets a channel that
// breaks it.
func TestSuiteFindsFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	hang := func(ctx context.Context, hang bool) error {
		if hang {
			<-ctx.Done()
		}
		return channel.ContextError(ctx)
	}
	var mu sync.Mutex
	busy := 0
	tests := []struct {
		name  string
		fault fake
		want  string // names that must be among those that fail
	}{
		{"takes anything", fake{open: func(json.RawMessage) error { return nil }},
			"OpenRefuses/hm OpenRefuses/Junk null"},
		{"says it plainly", fake{open: func(c json.RawMessage) error {
			if invalid(c) != nil {
				return errors.New("bad")
			}
			return nil
		}}, "OpenRefuses/hm"},
		{"tells the secret", fake{open: func(c json.RawMessage) error {
			if err := invalid(c); err != nil {
				return fmt.Errorf("sesame: %w", err)
			}
			return nil
		}}, "OpenRefuses/hm"},
		{"refuses what it does not know", fake{open: func(c json.RawMessage) error {
			if strings.Contains(string(c), "not_known") {
				return errors.New("unknown field")
			}
			return invalid(c)
		}}, "OpenIgnoresUnknownFields"},
		{"waits for no reason", fake{send: func(ctx context.Context, h bool,
			_ *channel.Message) (channel.Result, error) {
			return channel.Result{}, errors.Join(hang(ctx, h),
				&channel.Error{Action: channel.Wait, Class: channel.ClassStatus})
		}}, "Answers/says_later Answers/accepts"},
		{"takes no for a yes", fake{}, "Answers/says_no"},
		{"refuses events", fake{send: func(ctx context.Context, h bool,
			_ *channel.Message) (channel.Result, error) {
			return channel.Result{}, errors.Join(hang(ctx, h), errors.New("no"))
		}}, "SendAccepted"},
		{"tells the secret in the result",
			fake{send: func(ctx context.Context, h bool, _ *channel.Message) (channel.Result, error) {
				return channel.Result{Response: "open sesame"}, hang(ctx, h)
			}}, "SendAccepted"},
		{"keeps everything", fake{send: func(ctx context.Context, h bool,
			_ *channel.Message) (channel.Result, error) {
			return channel.Result{Response: strings.Repeat("x", 5000)}, hang(ctx, h)
		}}, "SendAccepted"},
		{"keeps control characters", fake{send: func(ctx context.Context, h bool,
			_ *channel.Message) (channel.Result, error) {
			return channel.Result{Response: "\x1b[2J"}, hang(ctx, h)
		}}, "SendAccepted"},
		{"changes the payload", fake{send: func(ctx context.Context, h bool,
			m *channel.Message) (channel.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			m.Payload[0] = '!'
			return channel.Result{}, hang(ctx, h)
		}}, "SendLeavesTheMessageAlone"},
		{"cannot be shared", fake{send: func(ctx context.Context, h bool,
			_ *channel.Message) (channel.Result, error) {
			mu.Lock()
			busy++
			n := busy
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			busy--
			mu.Unlock()
			if n > 1 {
				return channel.Result{}, errors.New("busy")
			}
			return channel.Result{}, hang(ctx, h)
		}}, "SendConcurrently"},
		{"calls a cancellation a timeout",
			fake{send: func(ctx context.Context, h bool, _ *channel.Message) (channel.Result, error) {
				if hang(ctx, h) != nil {
					return channel.Result{}, &channel.Error{Class: channel.ClassTimeout}
				}
				return channel.Result{}, nil
			}}, "SendCancelledBefore SendCancelledDuring"},
		{"returns a bare deadline", fake{send: func(ctx context.Context, h bool,
			_ *channel.Message) (channel.Result, error) {
			_ = hang(ctx, h)
			return channel.Result{}, ctx.Err()
		}}, "SendDeadline"},
		{"gives up at a deadline", fake{send: func(ctx context.Context, h bool,
			_ *channel.Message) (channel.Result, error) {
			if err := hang(ctx, h); errors.Is(err, context.Canceled) {
				return channel.Result{}, err
			} else if err != nil {
				return channel.Result{}, &channel.Error{Action: channel.Permanent, Class: channel.ClassTimeout}
			}
			return channel.Result{}, nil
		}}, "SendDeadline"},
	}
	for _, tt := range tests {
		if tt.fault.open == nil {
			tt.fault.open = invalid
		}
		h := tt.fault.harness()
		accepting := func(testing.TB) json.RawMessage { return json.RawMessage(`{}`) }
		h.Answers = []Answer{
			{Name: "accepts", Want: channel.Success, Config: accepting},
			{Name: "says no", Want: channel.Permanent, Config: accepting},
			{Name: "says later", Want: channel.Wait, Config: accepting},
		}
		got := failing(t, h)
		for want := range strings.SplitSeq(tt.want, " ") {
			if !strings.Contains(got, want) {
				t.Errorf("a channel that %s: the suite finds %q, not %q", tt.name, got, want)
			}
		}
	}
	if got := failing(t, fake{open: invalid}.harness()); got != "" {
		t.Errorf("a channel without a fault: the suite finds %q", got)
	}
}

// naive is what is written by hand in five minutes: http.Client, as it comes.
func TestSuiteFindsFaultsOfHTTP(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	naive := channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
		var c struct{ URL string }
		if err := json.Unmarshal(config, &c); err != nil {
			return nil, err
		}
		return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Result, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL,
				strings.NewReader(string(m.Payload)))
			if err != nil {
				return channel.Result{}, err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return channel.Result{}, err
			}
			defer func() { _ = resp.Body.Close() }()
			return channel.Result{StatusCode: resp.StatusCode},
				channel.Classify(resp.StatusCode, nil, time.Now())
		}), nil
	})
	got := failing(t, Harness{
		Driver: naive,
		HTTP: &HTTP{Config: func(
			base string) json.RawMessage {
			return json.RawMessage(`{"url":"` + base + `/sesame"}`)
		}},
		Secrets: []string{"sesame"},
	})
	for _, want := range []string{"HTTPStatus", "HTTPRedirect", "SendDeadline",
		"Misbehaving/closes_at_once", "Misbehaving/has_an_endless_body",
		"Misbehaving/hangs_in_the_body"} {
		if !strings.Contains(got, want) {
			t.Errorf("the suite finds %q, not %q", got, want)
		}
	}
}

func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	plenty, none := resources{goroutines: 1 << 20, descriptors: 1 << 20},
		resources{descriptors: 1 << 20}
	if err := plenty.leaked(); err != nil {
		t.Error(err)
	}
	if err := none.within(10 * time.Millisecond); err == nil ||
		!strings.Contains(err.Error(), "TestLeaksAreFound") {
		t.Errorf("goroutines that are left are not found, or not shown: %v", err)
	}
}
