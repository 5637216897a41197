package receivertest_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/receivertest"
)

const secret = "correct-horse-battery-staple"

// The tests wait for time limits more than they compute: more of them may run at once than there
// are processors, unless -parallel says otherwise.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	m.Run()
}

// bench is a receiver that listens, and the options for it.
type bench struct {
	config  receiver.Config
	options receivertest.Options
	key     signature.Key

	mu      sync.Mutex
	counts  map[string]int
	held    map[string]chan struct{} // closed when released
	failing map[string]bool
}

// runTimeout bounds a run where no test is about that: many run at the same time.
const runTimeout = 10 * time.Minute

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{key: signature.NewKey(), counts: make(map[string]int),
		held: make(map[string]chan struct{}), failing: make(map[string]bool)}
	signer, err := signature.NewSigner(b.key)
	require.NoError(t, err)
	b.verify(t, 0)
	b.config.Secrets = []receiver.Secret{{Value: secret}}
	b.config.AllowHTTP = true
	b.config.MaxBody = 4096
	b.config.ReadTimeout = 2 * time.Second
	b.config.Logger = slog.New(slog.DiscardHandler)
	b.options = receivertest.Options{
		Credentials: receivertest.Credentials{Secret: secret, Signer: signer},
		MaxBody:     4096,
		ReadTimeout: 2 * time.Second,
		Timeout:     runTimeout,
		Handled: func(_ context.Context, id string) (int, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.counts[id], nil
		},
		Hold: func(_ context.Context, id string) (func(), error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			held := make(chan struct{})
			b.held[id] = held
			return func() { close(held) }, nil
		},
		Fail: func(_ context.Context, id string) (func(), error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.failing[id] = true
			return func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				delete(b.failing, id)
			}, nil
		},
	}
	return b
}

// verify sets the tolerance of the receiver's verifier.
func (b *bench) verify(t *testing.T, tolerance time.Duration) {
	t.Helper()
	var err error
	b.config.Signature, err = signature.NewVerifier(signature.Config{
		Keys: []signature.VerifyKey{{Key: b.key}}, Tolerance: tolerance,
	})
	require.NoError(t, err)
}

// count is the receiver's handler.
func (b *bench) count(_ context.Context, e *event.Event) error {
	b.mu.Lock()
	held := b.held[e.ID]
	b.mu.Unlock()
	if held != nil {
		<-held
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing[e.ID] {
		return errFailing
	}
	b.counts[e.ID]++
	return nil
}

func (b *bench) receiver(t *testing.T) *receiver.Receiver {
	t.Helper()
	rcv, err := receiver.New(b.config)
	require.NoError(t, err)
	return rcv
}

func (b *bench) router() *receiver.Router {
	router := receiver.NewRouter()
	router.On("object.*", b.count)
	return router
}

// withSignatures changes the lines of signatures before the receiver sees them.
func (b *bench) withSignatures(t *testing.T, change func([]string) []string) http.Handler {
	t.Helper()
	next := b.receiver(t).Handler(b.router())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lines := r.Header[signature.HeaderSignature]; len(lines) > 0 && lines[0] != "" {
			r.Header[signature.HeaderSignature] = change(lines)
		}
		next.ServeHTTP(w, r)
	})
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// The receiver of this module keeps all rules.
func TestRun(t *testing.T) {
	t.Parallel()
	t.Run("secret and signature", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		if testing.Short() {
			b.options.ReadTimeout = 0 // the rule of slow bodies waits for it
		}
		receivertest.Run(t, serve(t, b.receiver(t).Handler(b.router())), b.options)
	})
	t.Run("secret", func(t *testing.T) {
		if testing.Short() {
			t.Skip("takes seconds")
		}
		t.Parallel()
		b := newBench(t)
		b.config.Signature, b.options.Signer = nil, nil
		receivertest.Run(t, serve(t, b.receiver(t).Handler(b.router())), b.options)
	})
	t.Run("signature", func(t *testing.T) {
		if testing.Short() {
			t.Skip("takes seconds")
		}
		t.Parallel()
		b := newBench(t)
		b.config.Secrets, b.options.Secret = nil, ""
		receivertest.Run(t, serve(t, b.receiver(t).Handler(b.router())), b.options)
	})
}

// A receiver that decompresses is tried with bodies in gzip.
func TestRunMaxDecoded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	b := newBench(t)
	b.config.MaxDecoded, b.options.MaxDecoded = 100_000, 100_000
	receivertest.Run(t, serve(t, b.receiver(t).Handler(b.router())), b.options)
}

// A receiver that does not count signatures of unknown versions is right too.
func TestRunOneVersion(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	b, other := newBench(t), signature.NewKey()
	b.key = signature.NewKeyPair()
	b.verify(t, 0)
	for name, keys := range map[string][]signature.Key{"only": {b.key}, "first": {b.key, other},
		"last": {other, b.key}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := b.options
			var err error
			options.Signer, err = signature.NewSigner(keys...)
			require.NoError(t, err)
			known := b.withSignatures(t, func(lines []string) []string {
				all := strings.Fields(strings.ReplaceAll(strings.Join(lines, " "), ", ", " "))
				return slices.DeleteFunc(all, func(s string) bool {
					return !strings.HasPrefix(s, "v1a,")
				})
			})
			receivertest.Run(t, serve(t, known), options)
		})
	}
}

// A receiver that answers copies only after the event was handled is right too.
func TestRunOneAtATime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	b := newBench(t)
	next := b.receiver(t).Handler(b.router())
	var one sync.Mutex
	receivertest.Run(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		next.ServeHTTP(w, r)
	})), b.options)
}

// It keeps all rules over HTTP/2 with TLS too.
func TestRunHTTP2(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	b := newBench(t)
	b.config.AllowHTTP = false
	server := httptest.NewUnstartedServer(b.receiver(t).Handler(b.router()))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	b.options.Client = server.Client()
	receivertest.Run(t, server.URL, b.options)
}

// For each rule the suite finds a receiver that breaks it, and no rules but those listed.
func TestBroken(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	tests := []struct {
		name   string
		make   func(t *testing.T, b *bench) http.Handler
		broken []string
	}{
		{
			"handles nothing",
			func(t *testing.T, b *bench) http.Handler {
				return b.receiver(t).Handler(receiver.HandlerFunc(func(context.Context,
					*event.Event) error {
					return nil
				}))
			},
			[]string{
				"valid event", "any JSON", "duplicate", "odd ids", "many at once", "concurrent duplicate",
				"duplicate in flight",
				"failing handler", "body at the limit", "still alive", "long memory",
			},
		},
		{
			"fails on types that it does not know",
			func(t *testing.T, b *bench) http.Handler {
				return b.receiver(t).Handler(receiver.HandlerFunc(func(ctx context.Context,
					e *event.Event) error {
					if e.Type == "receivertest.unknown.type" {
						return fmt.Errorf("unknown type")
					}
					return b.count(ctx, e)
				}))
			},
			[]string{"unknown type"},
		},
		{
			"knows one spelling only",
			func(t *testing.T, b *bench) http.Handler {
				b.config.Decode = func(_ http.Header, body []byte) (*event.Event, error) {
					e, err := event.Decode(body)
					if err == nil && e.Namespace == "" {
						err = fmt.Errorf("namespace is required")
					}
					return e, err
				}
				return b.receiver(t).Handler(b.router())
			},
			[]string{"documented events"},
		},
		{
			"asks for no secret",
			func(t *testing.T, b *bench) http.Handler {
				b.config.Secrets = nil
				return b.receiver(t).Handler(b.router())
			},
			[]string{"wrong secret", "wrong secret reads no body", "uniform refusal"},
		},
		{
			"asks for no signature",
			func(t *testing.T, b *bench) http.Handler {
				b.config.Signature = nil
				return b.receiver(t).Handler(b.router())
			},
			[]string{"wrong signature", "several signatures", "signed id", "replayed old timestamp",
				"uniform refusal"},
		},
		{
			"takes any age",
			func(t *testing.T, b *bench) http.Handler {
				b.verify(t, 24*time.Hour)
				return b.receiver(t).Handler(b.router())
			},
			[]string{"replayed old timestamp", "uniform refusal"},
		},
		{
			"reads the body first",
			func(t *testing.T, b *bench) http.Handler {
				next := b.receiver(t).Handler(b.router())
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body := make([]byte, 1)
					n, _ := io.ReadFull(r.Body, body)
					r.Body = io.NopCloser(io.MultiReader(readerOf(body[:n]), r.Body))
					next.ServeHTTP(w, r)
				})
			},
			[]string{"wrong secret reads no body"},
		},
		{
			"says what was wrong",
			func(t *testing.T, b *bench) http.Handler {
				next := b.receiver(t).Handler(b.router())
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("X-Mixpeek-Secret") == "" {
						http.Error(w, "no secret", http.StatusUnauthorized)
						return
					}
					next.ServeHTTP(w, r)
				})
			},
			[]string{"uniform refusal"},
		},
		{
			"has no memory",
			func(t *testing.T, b *bench) http.Handler {
				b.config.Dedupe = amnesia{}
				return b.receiver(t).Handler(b.router())
			},
			[]string{"duplicate", "concurrent duplicate", "duplicate in flight", "long memory"},
		},
		{
			"takes what is being handled for done",
			func(t *testing.T, b *bench) http.Handler {
				next := b.receiver(t).Handler(b.router())
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					next.ServeHTTP(conflictIsFine{w}, r)
				})
			},
			[]string{"duplicate in flight"},
		},
		{
			"has a lower limit",
			func(t *testing.T, b *bench) http.Handler {
				b.config.MaxBody--
				return b.receiver(t).Handler(b.router())
			},
			[]string{"body at the limit"},
		},
		{
			"has a higher limit",
			func(t *testing.T, b *bench) http.Handler {
				b.config.MaxBody++
				return b.receiver(t).Handler(b.router())
			},
			[]string{"oversize"},
		},
		{
			"takes what is no event",
			func(t *testing.T, b *bench) http.Handler {
				b.config.Decode = func(_ http.Header, body []byte) (*event.Event, error) {
					if e, err := event.Decode(body); err == nil {
						return e, nil
					}
					return new(event.Event), nil
				}
				return b.receiver(t).Handler(b.router())
			},
			[]string{"malformed", "no type"},
		},
		{
			"takes any content type",
			func(t *testing.T, b *bench) http.Handler {
				next := b.receiver(t).Handler(b.router())
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.Header.Set("Content-Type", "application/json")
					next.ServeHTTP(w, r)
				})
			},
			[]string{"content type"},
		},
		{
			"takes one spelling of the content type",
			func(t *testing.T, b *bench) http.Handler {
				next := b.receiver(t).Handler(b.router())
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Content-Type") != "application/json" {
						http.Error(w, "not JSON", http.StatusUnsupportedMediaType)
						return
					}
					next.ServeHTTP(w, r)
				})
			},
			[]string{"content type"},
		},
		{
			"takes events without a type",
			func(t *testing.T, b *bench) http.Handler {
				b.config.Decode = func(_ http.Header, body []byte) (*event.Event, error) {
					return event.Decode(body)
				}
				return b.receiver(t).Handler(b.router())
			},
			[]string{"no type"},
		},
		{
			"unpacks what it should not",
			func(t *testing.T, b *bench) http.Handler {
				b.config.MaxDecoded = 100_000
				return b.receiver(t).Handler(b.router())
			},
			[]string{"compressed body"},
		},
		{
			"unpacks without a limit",
			func(t *testing.T, b *bench) http.Handler {
				b.config.MaxDecoded, b.options.MaxDecoded = 1<<30, 100_000
				return b.receiver(t).Handler(b.router())
			},
			[]string{"compressed body"},
		},
		{
			"unpacks nothing, and says it does",
			func(t *testing.T, b *bench) http.Handler {
				b.options.MaxDecoded = 100_000
				return b.receiver(t).Handler(b.router())
			},
			[]string{"compressed body"},
		},
		{
			"takes any id in a signed body",
			func(t *testing.T, b *bench) http.Handler {
				b.config.AllowIDMismatch = true
				return b.receiver(t).Handler(b.router())
			},
			[]string{"signed id"},
		},
		{
			"looks at any number of signatures",
			func(t *testing.T, b *bench) http.Handler {
				return b.withSignatures(t, func(lines []string) []string {
					all := strings.Fields(strings.ReplaceAll(strings.Join(lines, " "), ", ", " "))
					return all[max(0, len(all)-1):]
				})
			},
			[]string{"several signatures"},
		},
		{
			"looks at one signature",
			func(t *testing.T, b *bench) http.Handler {
				return b.withSignatures(t, func(lines []string) []string {
					return strings.Fields(strings.Join(lines, " "))[:1]
				})
			},
			[]string{"several signatures"},
		},
		{
			"looks at one line of signatures",
			func(t *testing.T, b *bench) http.Handler {
				return b.withSignatures(t, func(lines []string) []string { return lines[:1] })
			},
			[]string{"several signatures"},
		},
		{
			"takes any method",
			func(t *testing.T, b *bench) http.Handler {
				next := b.receiver(t).Handler(b.router())
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.Method = http.MethodPost
					next.ServeHTTP(w, r)
				})
			},
			[]string{"wrong method"},
		},
		{
			"never times out",
			func(t *testing.T, b *bench) http.Handler {
				b.config.ReadTimeout = time.Hour
				return b.receiver(t).Handler(b.router())
			},
			[]string{"slow body"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			report, err := receivertest.Verify(t.Context(), serve(t, tt.make(t, b)), b.options)
			require.NoError(t, err)
			assert.Equal(t, tt.broken, report.Broken(), "%v", report)
		})
	}
}

// amnesia is a Deduper whose claims always succeed.
type amnesia struct{}

func (amnesia) Claim(context.Context, receiver.Claim, time.Duration) (receiver.Standing, error) {
	return receiver.Standing{State: receiver.Claimed}, nil
}
func (amnesia) Extend(context.Context, receiver.Claim, time.Duration) error       { return nil }
func (amnesia) Done(context.Context, receiver.Claim, time.Duration) error         { return nil }
func (amnesia) Dead(context.Context, receiver.Claim, string, time.Duration) error { return nil }
func (amnesia) Release(context.Context, receiver.Claim) error                     { return nil }

// conflictIsFine answers 200 to copies of an event that is being handled.
type conflictIsFine struct{ http.ResponseWriter }

func (c conflictIsFine) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c conflictIsFine) WriteHeader(status int) {
	if status == http.StatusConflict {
		status = http.StatusOK
	}
	c.ResponseWriter.WriteHeader(status)
}

// readerOf reads the bytes once.
func readerOf(b []byte) io.Reader { return &once{b} }

type once struct{ left []byte }

func (o *once) Read(p []byte) (int, error) {
	if len(o.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.left)
	o.left = o.left[n:]
	return n, nil
}

func TestReport(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Signer, b.options.ReadTimeout, b.options.Hold = nil, 0, nil
	b.config.Signature = nil
	b.config.MaxBody++
	b.options.Except = []string{"content type"}
	var tried []receivertest.Result
	b.options.Tried = func(r receivertest.Result) { tried = append(tried, r) }
	report, err := receivertest.Verify(t.Context(), serve(t, b.receiver(t).Handler(b.router())),
		b.options)
	require.NoError(t, err)
	assert.Len(t, tried, len(report.Results))
	for i, r := range tried {
		assert.Equal(t, report.Results[i].Rule.Name, r.Rule.Name)
	}
	text := report.String()
	assert.Contains(t, text, "kept       valid event\n")
	assert.Contains(t, text, "not tried  wrong signature (needs Options.Signer)\n")
	assert.Contains(t, text, "not tried  content type (in Options.Except)\n")
	assert.Contains(t, text, "not tried  slow body (needs Options.ReadTimeout)\n")
	assert.Contains(t, text, "not tried  duplicate in flight (needs Options.Hold)\n")
	assert.Contains(t, text,
		"BROKEN     oversize: one byte too many, announced: answered 200 instead of 413")
	assert.Contains(t, text, "the rule: a body over the limit gets 413")
	assert.NotContains(t, text, secret)
}

func TestVerifyRefusesWhatItCannotTry(t *testing.T) {
	t.Parallel()
	_, err := receivertest.Verify(t.Context(), "localhost",
		receivertest.Options{Except: []string{"valid event", "no such rule"}})
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Len(t, invalid.Problems, 3)
	assert.ErrorContains(t, err, "Except[1]: must be the name of a rule")
}

// NewRequest is for tests of handlers without a server.
func TestNewRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.AllowHTTP = false
	h := b.receiver(t).Handler(b.router())
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, receivertest.NewRequest(t, b.options.Credentials, e))
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, 1, b.counts[e.ID])

	for _, d := range receivertest.Documented() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, receivertest.NewBodyRequest(t, b.options.Credentials, d.ID, d.Body))
		assert.Equal(t, 200, w.Code, d.Name)
	}
}

func TestSecretHeader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	b := newBench(t)
	b.config.SecretHeader, b.options.SecretHeader = "X-Acme", "x-acme"
	b.config.Signature, b.options.Signer = nil, nil
	report, err := receivertest.Verify(t.Context(), serve(t, b.receiver(t).Handler(b.router())),
		b.options)
	require.NoError(t, err)
	assert.Empty(t, report.Broken(), "%v", report)
}
