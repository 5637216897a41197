package receivertest_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver/receivertest"
)

// runs is how often a right receiver is tested, to find false alarms in one run of forty.
var runs = flag.Int("receivertest.runs", 1,
	"how often receivers that keep every rule are run; more than once, and all faults are planted")

// A plant is a receiver with one fault, and the rule that it breaks.
type plant struct {
	fault  string
	breaks string
	make   func(*hand)
}

// serveHand serves a hand, on a listener that may change what arrives.
func serveHand(t *testing.T, h *hand, garble func([]byte)) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h.wrap(h))
	if garble != nil {
		server.Listener = garbling{server.Listener, garble}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// garbling is a listener whose connections change what they read.
type garbling struct {
	net.Listener
	change func([]byte)
}

type garbled struct {
	net.Conn
	change func([]byte)
}

func (g garbling) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	return &garbled{conn, g.change}, err
}

func (g *garbled) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	g.change(p[:n])
	return n, err
}

// hide renames a header with this spelling of its name.
func hide(name string) func([]byte) {
	return func(p []byte) {
		for at := 0; ; {
			i := bytes.Index(p[at:], []byte("\r\n"+name+":"))
			if i < 0 {
				return
			}
			p[at+i+2] = 'q'
			at += i + 2
		}
	}
}

// The suite finds every planted fault, by the rule that it breaks. With a single run, the first fault
// of each rule is planted, and every third one after it.
func TestPlantedFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	faults := slices.Concat(credentialFaults(), eventFaults(), bodyFaults())
	assert.GreaterOrEqual(t, len(faults), 80)
	names := make(map[string]bool)
	rules := make(map[string]int)
	slots := make(chan struct{}, 24)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, f := range faults {
		require.False(t, names[f.fault], "planted twice: %s", f.fault)
		names[f.fault] = true
		rules[f.breaks]++
		if *runs == 1 && rules[f.breaks]%3 != 1 {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			report := f.verify(t)
			for range 4 {
				if !f.races() || slices.Contains(report.Broken(), f.breaks) {
					break
				}
				report = f.verify(t)
			}
			assert.Contains(t, report.Broken(), f.breaks, "%s: not named\n%v", f.fault, report)
		})
	}
}

// races reports whether the fault shows only when requests overlap, which a busy machine may prevent
// in one run: it must be found in one of five.
func (f plant) races() bool {
	return f.breaks == "concurrent duplicate" || f.breaks == "many at once" ||
		f.breaks == "duplicate in flight"
}

// verify runs the suite against the plant. Slow rules are tried only where they may find the
// fault.
func (f plant) verify(t *testing.T) *receivertest.Report {
	h := newHand(t)
	f.make(h)
	if f.breaks != "slow body" {
		h.options.ReadTimeout = 0
	}
	if f.breaks != "duplicate in flight" {
		h.options.Hold = nil
	}
	var garble func([]byte)
	if f.breaks == "header case" {
		garble = hide(f.fault)
	}
	report, err := receivertest.Verify(t.Context(), serveHand(t, h, garble), h.options)
	if !assert.NoError(t, err) {
		return new(receivertest.Report)
	}
	return report
}

// Every rule finds a planted fault, except two rules that depend on the others.
func TestEveryRuleIsBroken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Timeout = 1 // nothing is tried
	report, err := receivertest.Verify(t.Context(), "http://127.0.0.1:1", b.options)
	require.NoError(t, err)
	broken := make(map[string]bool)
	for _, f := range slices.Concat(credentialFaults(), eventFaults(), bodyFaults()) {
		broken[f.breaks] = true
	}
	for _, v := range report.Results {
		assert.True(t, broken[v.Rule.Name], "no fault was planted that %q names", v.Rule.Name)
		delete(broken, v.Rule.Name)
	}
	assert.Empty(t, slices.Collect(maps.Keys(broken)), "these are no rules")
}

// A receiver that keeps every rule is never accused: hand, and that of this module.
func TestRightReceivers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	byHand := func(change func(*hand)) func() (string, receivertest.Options) {
		return func() (string, receivertest.Options) {
			h := newHand(t)
			change(h)
			return serveHand(t, h, nil), h.options
		}
	}
	ours := func(change func(*bench)) func() (string, receivertest.Options) {
		return func() (string, receivertest.Options) {
			b := newBench(t)
			change(b)
			return serve(t, b.receiver(t).Handler(b.router())), b.options
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, 8)
	for run := range *runs {
		for name, start := range map[string]func() (string, receivertest.Options){
			"by hand, both":      byHand(func(*hand) {}),
			"by hand, secret":    byHand((*hand).onlySecret),
			"by hand, signature": byHand((*hand).onlySignature),
			"ours, both":         ours(func(*bench) {}),
			"ours, secret": ours(func(b *bench) {
				b.config.Signature, b.options.Signer = nil, nil
			}),
			"ours, signature": ours(func(b *bench) {
				b.config.Secrets, b.options.Secret = nil, ""
			}),
		} {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				url, options := start()
				report, err := receivertest.Verify(t.Context(), url, options)
				assert.NoError(t, err)
				assert.Empty(t, report.Broken(), "%s, run %d\n%v", name, run, report)
			})
		}
	}
}

func (h *hand) onlySecret() {
	h.options.Signer, h.options.Others[0].Signer = nil, nil
	h.options.Retired = h.options.Retired[:1]
	h.options.Retired[0].Signer = nil
	h.envelope = func(string, string, time.Time) bool { return true }
	h.signed = func(*http.Request, []byte) bool { return true }
	h.idMatches = func(*http.Request, string) bool { return true }
}

func (h *hand) onlySignature() {
	h.options.Secret, h.options.Others[0].Secret = "", ""
	h.options.Retired = h.options.Retired[1:]
	h.options.Retired[0].Secret = ""
	h.secret = func(*http.Request) bool { return true }
}

// A run ends in time if the receiver never answers, and if it answers 409 to events that it has
// handled.
func TestRunIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	t.Run("no answer", func(t *testing.T) {
		t.Parallel()
		h := newHand(t)
		ended := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		}))
		t.Cleanup(server.Close)
		t.Cleanup(func() { close(ended) })
		h.options.Timeout = 50 * time.Millisecond
		report, err := receivertest.Verify(t.Context(), server.URL, h.options)
		require.NoError(t, err)
		for _, v := range report.Results {
			assert.ErrorContains(t, v.Err, "Options.Timeout, 50ms", v.Rule.Name)
		}
	})
	t.Run("409 to what is handled", func(t *testing.T) {
		t.Parallel()
		h := newHand(t)
		h.done = http.StatusConflict
		report, err := receivertest.Verify(t.Context(), serveHand(t, h, nil), h.options)
		require.NoError(t, err)
		assert.Contains(t, fmt.Sprint(report),
			"not acknowledged within 5s of being handled: answered 409")
		assert.Subset(t, report.Broken(),
			[]string{"duplicate", "concurrent duplicate", "duplicate in flight", "long memory"})
	})
}

// If a proxy waits for the body, the suite mentions that possibility.
func TestBufferingProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	b := newBench(t)
	next := b.receiver(t).Handler(b.router())
	report, err := receivertest.Verify(t.Context(),
		serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // as a proxy, which has not passed anything on
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})), b.options)
	require.NoError(t, err)
	assert.Equal(t, []string{"wrong secret reads no body", "slow body"}, report.Broken(), "%v",
		report)
	for _, v := range report.Results {
		if v.Err != nil {
			assert.ErrorContains(t, v.Err, "proxy_request_buffering", v.Rule.Name)
			assert.ErrorContains(t, v.Err, "Options.Except", v.Rule.Name)
		}
	}
}

// A negative option is an error that names it.
func TestNegativeOptions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.MaxBody, b.options.MaxDecoded, b.options.ReadTimeout, b.options.Timeout = -1, -1, -1, -1
	_, err := receivertest.Verify(t.Context(), "http://127.0.0.1:1", b.options)
	for _, name := range []string{"MaxBody", "MaxDecoded", "ReadTimeout", "Timeout"} {
		assert.ErrorContains(t, err, name+": must not be negative")
	}
}
