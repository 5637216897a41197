package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/settings"
)

// HealthConfig configures [NewHealthHandler]. In every field zero means the default, and a negative
// duration is an error.
type HealthConfig struct {
	// Timeout bounds how long the handler takes to answer. A store that has said nothing by then does
	// not answer, also if it goes on with what it was asked: SQLite waits for a lock for as long as its
	// busy timeout says. Defaults to 2 s; let probes wait for longer than that.
	Timeout time.Duration
	// MaxDueAge is how long a delivery may have been due before the handler says degraded. [Forever]
	// means that it never does. Deliveries that wait for a degraded or disabled endpoint do not count.
	// Defaults to 15 minutes.
	MaxDueAge time.Duration
	// MaxClaimAge is how long a process that runs Run may have got no answer to a claim before the
	// handler says degraded. [Forever] means that it never does. Only this tells the handler of a
	// store that can be read but not written, such as a SQLite file that another program has
	// locked. It therefore notices MaxClaimAge after the last claim, not earlier. Defaults to 1
	// minute, or three times Config.PollInterval if that is more.
	MaxClaimAge time.Duration
	// CacheFor is how long an answer is reused, so that frequent probes do not burden the store.
	// Defaults to 1 s.
	CacheFor time.Duration
	// Reasons returns further reasons for which the handler says degraded, such as Reasons of a
	// monitor.Monitor. It must not block. Nil is none.
	Reasons func() []string
}

// maxHealthCount is how many deliveries the handler lets the store count.
const maxHealthCount = 1000

// maxStuck is for how long the loop that claims may stand still before the process counts as
// stuck. Each of its steps has a timeout, the longest of 30 s.
const maxStuck = 5 * time.Minute

// HealthStatus is the answer of a health handler in one word.
type HealthStatus string

const (
	// HealthReady means that everything works.
	HealthReady HealthStatus = "ready"
	// HealthDegraded means that the process works, and that a person should look at the reasons.
	HealthDegraded HealthStatus = "degraded"
	// HealthUnavailable means that the store cannot be read: nothing can be emitted or delivered.
	HealthUnavailable HealthStatus = "unavailable"
)

// HealthReport is the answer of a health handler, as JSON. It holds no error of the store, which
// may name hosts: the log has those.
type HealthReport struct {
	Status HealthStatus `json:"status"`
	// Reasons says why it is not ready. They are for people, and may be worded differently in
	// another version.
	Reasons []string `json:"reasons,omitempty"`
	// Store says whether the store can be read. It does not say whether it can be written.
	Store bool `json:"store"`
	// Running says whether Run is running in this process.
	Running bool `json:"running"`
	// OldestDueSeconds is how long the oldest due delivery has been waiting; 0 if none is due.
	OldestDueSeconds float64 `json:"oldest_due_seconds"`
	// LastClaimSeconds is how long ago the store last answered a claim of this process. Absent if
	// it never has.
	LastClaimSeconds *float64 `json:"last_claim_seconds,omitempty"`
}

// NewHealthHandler returns an http.Handler that answers GET and HEAD, on whatever path it is
// mounted, with a [HealthReport]: 200 if it is ready or degraded, and 503 if the store does not
// answer.
//
// It is for readiness and startup probes, load balancers and people. While it answers 503 the
// process can neither emit nor deliver, and loses nothing. It is not for liveness probes:
// restarting processes does not repair a database, and stops those that would continue as soon as
// it works. Use [NewLivenessHandler] for those.
//
// It answers within HealthConfig.Timeout, whatever the store does. However many probes come, it asks
// the store once at a time: while the store hangs, probes are answered 503 at once.
//
// The handler only reads from the store. While a full disk or a locked file lets the store be read
// but not written, every emit fails, and the handler still answers 200: degraded after MaxClaimAge,
// in a process that delivers, and ready in one that does not. Watch for emits that
// fail: they return an error, Hooks.EmitEnd has it, and module webhook/promhook counts them as
// store_errors_total of op emit.
//
// It returns an [*event.ValidationError] that lists every invalid field of cfg.
func NewHealthHandler(d *Dispatcher, cfg HealthConfig) (http.Handler, error) {
	settings.Default(&cfg.Timeout, 2*time.Second)
	settings.Default(&cfg.MaxDueAge, 15*time.Minute)
	settings.Default(&cfg.MaxClaimAge, max(time.Minute, 3*d.cfg.PollInterval))
	settings.Default(&cfg.CacheFor, time.Second)
	var p event.Problems
	settings.AtLeast(&p, "Timeout", cfg.Timeout, time.Millisecond)
	settings.AtLeast(&p, "MaxDueAge", cfg.MaxDueAge, time.Millisecond)
	settings.AtLeast(&p, "MaxClaimAge", cfg.MaxClaimAge, time.Millisecond)
	settings.AtLeast(&p, "CacheFor", cfg.CacheFor, time.Nanosecond)
	if err := p.Err(); err != nil {
		return nil, err
	}
	h := &healthHandler{d: d, cfg: cfg}
	return allowGet(func(w http.ResponseWriter, r *http.Request) {
		report := h.report(r.Context())
		status := http.StatusOK
		if report.Status == HealthUnavailable {
			status = http.StatusServiceUnavailable
		}
		writeReport(w, status, report)
	}), nil
}

// NewLivenessHandler returns an http.Handler for liveness probes. The handler does not use the
// store, and answers 200 while the process works, with or without a database. It answers 503 if Run
// is running and has not looked for work for 5 minutes or 3 times Config.PollInterval, whichever is
// longer: it is then stuck, and only a new process helps.
func NewLivenessHandler(d *Dispatcher) http.Handler {
	return allowGet(func(w http.ResponseWriter, _ *http.Request) {
		if d.claims.sinceRound() > max(maxStuck, 3*d.cfg.PollInterval) {
			writeReport(w, http.StatusServiceUnavailable, map[string]string{"status": "stuck"})
			return
		}
		writeReport(w, http.StatusOK, map[string]string{"status": "alive"})
	})
}

func allowGet(handle http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		handle(w, r)
	})
}

func writeReport(w http.ResponseWriter, status int, report any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(report) // the client may be gone
}

// healthHandler makes reports, one at a time.
type healthHandler struct {
	d   *Dispatcher
	cfg HealthConfig

	mu       sync.Mutex // held for no call of the store
	last     HealthReport
	lastAt   time.Time
	checking *healthCheck // nil if none is in progress
}

// healthCheck asks the store, for all probes that come until it has answered. A store may ignore the
// end of its context, as SQLite does while it waits for a lock, and the probes do not wait for that.
type healthCheck struct {
	deadline time.Time
	answers  atomic.Bool // the store has answered, and may still be counting
	done     chan struct{}
	report   HealthReport // once it is done
}

func (h *healthHandler) report(ctx context.Context) HealthReport {
	h.mu.Lock()
	if !h.lastAt.IsZero() && time.Since(h.lastAt) < h.cfg.CacheFor {
		defer h.mu.Unlock()
		return h.last
	}
	if h.checking == nil {
		h.checking = &healthCheck{deadline: time.Now().Add(h.cfg.Timeout), done: make(chan struct{})}
		// The report is for all who ask, even if the first of them goes away.
		go h.check(context.WithoutCancel(ctx), h.checking)
	}
	c := h.checking
	h.mu.Unlock()

	late := time.NewTimer(time.Until(c.deadline))
	defer late.Stop()
	select {
	case <-c.done:
		return c.report
	case <-late.C:
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.assess(nil, c.answers.Load())
	}
}

// check asks the store, and keeps the report.
func (h *healthHandler) check(ctx context.Context, c *healthCheck) {
	ctx, cancel := context.WithDeadline(ctx, c.deadline)
	defer cancel()
	s := h.ask(ctx, c)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = h.assess(s, c.answers.Load())
	h.lastAt, h.checking = time.Now(), nil
	c.report = h.last
	close(c.done)
}

// ask returns what the store counts, nil if it does not answer in time, or panics: this is not the
// goroutine of a request, which net/http would protect.
func (h *healthHandler) ask(ctx context.Context, c *healthCheck) (counted *Stats) {
	defer func() {
		if recover() != nil {
			counted = nil
		}
	}()
	if h.d.store.Ping(ctx) != nil || ctx.Err() != nil {
		return nil
	}
	c.answers.Store(true)
	s, err := h.d.stats(ctx, maxHealthCount)
	if err != nil || ctx.Err() != nil {
		return nil
	}
	return &s
}

// assess makes the report of what is known. counted is nil if the store does not count in time.
func (h *healthHandler) assess(counted *Stats, store bool) HealthReport {
	s := counted
	if s == nil {
		s = &Stats{At: h.d.now(), Process: h.d.processStats()}
	}
	report := HealthReport{
		Status: HealthReady, Store: store, Running: s.Process.Running,
		OldestDueSeconds: s.OldestDueAge().Seconds(),
	}
	degraded := func(format string, args ...any) {
		report.Status = HealthDegraded
		report.Reasons = append(report.Reasons, fmt.Sprintf(format, args...))
	}
	if age := s.OldestDueAge(); age > h.cfg.MaxDueAge {
		degraded("a delivery has been due for %s", age.Round(time.Second))
	}
	if last := s.Process.LastClaim; !last.IsZero() {
		seconds := s.age(last).Seconds()
		report.LastClaimSeconds = &seconds
	}
	if age := h.d.claims.sinceAnswer(); age > h.cfg.MaxClaimAge {
		degraded("the store has not answered a claim for %s", age.Round(time.Second))
	}
	for _, reason := range h.furtherReasons() {
		degraded("%s", reason)
	}
	switch {
	case !store:
		report.Status = HealthUnavailable
		report.Reasons = append(report.Reasons, "the store does not answer")
	case counted == nil:
		degraded("the store does not count deliveries in time")
	}
	return report
}

// furtherReasons are those of the configuration. A panic there is a reason of its own.
func (h *healthHandler) furtherReasons() (reasons []string) {
	if h.cfg.Reasons == nil {
		return nil
	}
	defer func() {
		if recover() != nil {
			reasons = []string{"HealthConfig.Reasons panicked"}
		}
	}()
	return h.cfg.Reasons()
}
