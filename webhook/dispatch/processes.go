package dispatch

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
	"github.com/mixpeek/webhooks-go/webhook/internal/module"
)

// maxProcessName is how many bytes Config.ProcessName may have.
const maxProcessName = 200

// defaultProcessName is the name of the host and the id of the process.
func defaultProcessName() string {
	host, err := os.Hostname()
	if err != nil || checkProcessName(host) != "" {
		host = "unknown host"
	}
	suffix := fmt.Sprint("/", os.Getpid())
	return strings.ToValidUTF8(host[:min(len(host), maxProcessName-len(suffix))], "") + suffix
}

// checkProcessName says what is wrong with a name.
func checkProcessName(name string) string {
	switch {
	case len(name) > maxProcessName:
		return fmt.Sprintf("must have at most %d bytes, has %d", maxProcessName, len(name))
	case !storable(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "must be valid UTF-8 without control characters"
	}
	return ""
}

func validateProcessName(p *event.Problems, name string) {
	if problem := checkProcessName(name); problem != "" {
		p.Add("ProcessName", "%s", problem)
	}
}

// Processes returns the processes that deliver from the store, each with its latest heartbeat, those
// first that were heard of last. A process is one that is in [Dispatcher.Run]. One that has stopped is
// not in the list. One that was killed is: [webhook.Process].Lost tells it from the others, and it
// stays for [webhook.ProcessKept]. If there are more than [webhook.MaxProcesses], the list ends there.
// Processes returns [ErrNoProcesses] if the store does not keep them.
func (d *Dispatcher) Processes(ctx context.Context) ([]webhook.Process, error) {
	store := d.store.Capabilities().Processes
	if store == nil {
		return nil, ErrNoProcesses
	}
	return store.Processes(ctx, webhook.MaxProcesses)
}

// ProcessCounts says how many processes deliver from the store: see [Dispatcher.Processes].
type ProcessCounts struct {
	// Alive have been heard of lately, and Lost have not, and did not stop.
	Alive, Lost int
}

// countProcesses returns nil if the store does not keep them.
func (d *Dispatcher) countProcesses(ctx context.Context, now time.Time) (*ProcessCounts, error) {
	if d.store.Capabilities().Processes == nil {
		return nil, nil
	}
	list, err := d.Processes(ctx)
	if err != nil {
		return nil, err
	}
	var n ProcessCounts
	for i := range list {
		if list[i].Lost(now) {
			n.Lost++
		} else {
			n.Alive++
		}
	}
	return &n, nil
}

const (
	// heartbeatTimeout bounds a heartbeat. The end of Run waits for one that is under way.
	heartbeatTimeout = 5 * time.Second
	// tellStoppingAfter is after how long a Run that is ending says so. Most have ended by then.
	tellStoppingAfter = time.Second
)

// heartbeat is what tells other processes of a run.
type heartbeat struct {
	r     *run
	store webhook.ProcessStore
	began time.Time // by the clock of this process
	said  webhook.Process
	// stored says that the last heartbeat was.
	stored bool
}

func (r *run) newHeartbeat(store webhook.ProcessStore) *heartbeat {
	return &heartbeat{r: r, store: store, began: time.Now(), said: webhook.Process{ID: r.d.id,
		Name: r.d.cfg.ProcessName, Version: module.Version()}}
}

// loop goes on until end is closed, also while the run waits for attempts in flight.
func (h *heartbeat) loop(ctx context.Context, end <-chan struct{}) {
	stopping := ctx.Done()
	ctx = context.WithoutCancel(ctx)
	failures := outage.NewLog(h.r.d.cfg.Logger, "store a heartbeat")
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-end:
			return
		case <-stopping:
			stopping = nil
			timer.Reset(tellStoppingAfter)
			continue
		case <-timer.C:
		}
		wait := webhook.HeartbeatInterval
		known, err := h.beat(ctx)
		switch {
		case err != nil:
			wait = min(wait, failures.Failed(ctx, err))
		case !known:
			wait = time.Second // claims ask for it, and log why they cannot
		default:
			failures.Over(ctx)
		}
		timer.Reset(wait)
	}
}

// beat stores what the process says of itself now, unless the store's time is not known.
func (h *heartbeat) beat(ctx context.Context) (known bool, err error) {
	d := h.r.d
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	h.stored = false
	d.clock.refresh(ctx)
	if d.clock.unknown() != nil {
		return false, nil
	}
	if h.said.StartedAt.IsZero() {
		h.said.StartedAt = d.clock.fromLocal(h.began)
	}
	s := d.processStats()
	p := &h.said
	p.Stopping = h.r.stopping.Load()
	p.InFlight, p.Queued, p.Leased, p.Workers = s.InFlight, s.Queued, s.Leased, s.Workers
	p.TrippedBreakers, p.RateLimited, p.LastClaim = s.TrippedBreakers, s.RateLimited, s.LastClaim
	began := time.Now()
	if err := h.store.PutProcess(ctx, d.now(), *p); err != nil {
		return true, err
	}
	p.StoreTime = time.Since(began)
	h.stored = true
	return true, nil
}

// remove takes the process from the list when the run has ended. If the store fails, or deliveries
// wait for the end of their lease, the process stays in it and will seem lost.
func (h *heartbeat) remove(ctx context.Context) {
	if !h.stored || h.r.leased.Load() > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), heartbeatTimeout)
	defer cancel()
	if err := h.store.RemoveProcess(ctx, h.r.d.id); err != nil {
		h.r.d.cfg.Logger.WarnContext(ctx, "webhook: the process stays in the list of processes",
			"error", err)
	}
}
