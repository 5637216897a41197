package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/module"
)

// About says what the API key of a request may do and, to an operator's, how the service is.
type About struct {
	// OrganizationID is the organization that the request is for.
	OrganizationID string `json:"organization_id"`
	// Name names who makes the request, as EndpointState.ChangedBy does.
	Name string `json:"name"`
	webhook.Rights
	// ExpiresAt is when the API key stops working. Zero is never, or not known.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// System is about the whole service. Nil unless the API key is an operator's.
	System *System `json:"system,omitempty"`
}

// System says how the service is, across all organizations.
type System struct {
	// Version is that of this module in the process that answers, such as "v1.2.3".
	Version string `json:"version"`
	// Now is the time of the store's clock, by which all times here are.
	Now time.Time `json:"now"`
	// Backlog counts the deliveries of all organizations.
	Backlog
	// Process is about the process that answers.
	Process ProcessState `json:"process"`
	// Processes are those that deliver, those first that were heard of last: at most
	// [webhook.MaxProcesses]. Null if the store does not keep them.
	Processes []Process `json:"processes"`
	// Store is about the store. Null if it cannot tell.
	Store *StoreState `json:"store"`
}

// ProcessState says what the Dispatcher of one process does.
type ProcessState struct {
	// ID is that of its Process, if it is in System.Processes, and Name is for people.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Running says that it delivers: see dispatch.Dispatcher.Run.
	Running bool `json:"running"`
	// Leased counts the deliveries that are leased to it.
	Leased int `json:"leased"`
	// LastClaim is when the store last answered a claim of it. Null if that has not happened.
	LastClaim *time.Time `json:"last_claim"`
}

// Process is a [webhook.Process].
type Process struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Version is that of this module in the process.
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	// Heartbeat is when the store last heard of it. Lost says that this is too long ago.
	Heartbeat time.Time `json:"heartbeat"`
	Lost      bool      `json:"lost"`
	Stopping  bool      `json:"stopping"`
	// The figures are those of the heartbeat.
	InFlight        int `json:"in_flight"`
	Queued          int `json:"queued"`
	Leased          int `json:"leased"`
	Workers         int `json:"workers"`
	TrippedBreakers int `json:"tripped_breakers"`
	RateLimited     int `json:"rate_limited"`
	// LastClaim is when the store last answered a claim of it. Null if that has not happened.
	LastClaim *time.Time `json:"last_claim"`
	// StoreMS is how many milliseconds the store took for a heartbeat. 0 if that is not known.
	StoreMS float64 `json:"store_ms"`
}

// StoreState is a [webhook.Diagnosis].
type StoreState struct {
	Kind string `json:"kind"`
	// SchemaVersion is the version of the tables, NeededVersion that which the process was made for,
	// and PendingMigrations are the versions between them.
	SchemaVersion     int   `json:"schema_version"`
	NeededVersion     int   `json:"needed_version"`
	PendingMigrations []int `json:"pending_migrations"`
	// LastResult is when any process last stored what became of a delivery. Null if none has.
	LastResult *time.Time `json:"last_result"`
	// Transactions is null if the question does not apply to the database.
	Transactions *LongTransactions `json:"transactions"`
}

// LongTransactions are [webhook.LongTransactions].
type LongTransactions struct {
	Oldest []LongTransaction `json:"oldest"`
	More   bool              `json:"more"`
	Hidden int               `json:"hidden"`
}

// LongTransaction is a [webhook.LongTransaction].
type LongTransaction struct {
	PID         int       `json:"pid"`
	Application string    `json:"application"`
	State       string    `json:"state"`
	Since       time.Time `json:"since"`
}

// systemTime bounds how long the store may take to say how it is. It counts deliveries for that.
const systemTime = 10 * time.Second

// about answers with the rights of the request. Nothing of the system goes to customers: it tells of
// other organizations, and which version to attack.
func (a *API) about(r *request) (*response, error) {
	out := About{OrganizationID: r.organizationID, Name: r.holder.Name, Rights: r.holder.Rights,
		ExpiresAt: r.holder.ExpiresAt}
	if r.holder.Operator {
		ctx, cancel := context.WithTimeout(r.Context(), systemTime)
		defer cancel()
		var err error
		if out.System, err = a.system(ctx); err != nil {
			return nil, err
		}
	}
	return &response{status: http.StatusOK, body: out}, nil
}

func (a *API) system(ctx context.Context) (*System, error) {
	stats, err := a.dispatcher.Stats(ctx)
	if err != nil {
		return nil, err
	}
	out := &System{Version: module.Version(), Now: stats.At, Backlog: presentBacklog(&stats.Stored),
		Process: ProcessState{ID: stats.Process.ID, Name: stats.Process.Name, Running: stats.Process.Running, Leased: stats.Process.Leased,
			LastClaim: orNull(stats.Process.LastClaim)}}
	processes, err := a.dispatcher.Processes(ctx)
	switch {
	case err == nil:
		out.Processes = presentProcesses(processes, stats.At)
	case !errors.Is(err, dispatch.ErrNoProcesses):
		return nil, err
	}
	store := a.dispatcher.Capabilities().Diagnostics
	if store == nil {
		return out, nil
	}
	d, err := store.Diagnose(ctx, stats.At)
	if err != nil {
		return nil, err
	}
	out.Store = &StoreState{Kind: d.Kind, SchemaVersion: d.SchemaVersion,
		NeededVersion: d.NeededVersion, PendingMigrations: []int{}, LastResult: orNull(d.LastResult)}
	for version := d.SchemaVersion + 1; version <= d.NeededVersion; version++ {
		out.Store.PendingMigrations = append(out.Store.PendingMigrations, version)
	}
	if d.Transactions != nil {
		out.Store.Transactions = presentTransactions(d.Transactions)
	}
	return out, nil
}

func presentProcesses(found []webhook.Process, now time.Time) []Process {
	out := make([]Process, len(found))
	for i, p := range found {
		out[i] = Process{ID: p.ID, Name: p.Name, Version: p.Version, StartedAt: p.StartedAt,
			Heartbeat: p.Heartbeat, Lost: p.Lost(now), Stopping: p.Stopping, InFlight: p.InFlight,
			Queued: p.Queued, Leased: p.Leased, Workers: p.Workers, TrippedBreakers: p.TrippedBreakers,
			RateLimited: p.RateLimited, LastClaim: orNull(p.LastClaim),
			StoreMS: float64(p.StoreTime.Microseconds()) / 1000}
	}
	return out
}

func presentTransactions(found *webhook.LongTransactions) *LongTransactions {
	out := &LongTransactions{Oldest: make([]LongTransaction, len(found.Oldest)), More: found.More,
		Hidden: found.Hidden}
	for i, t := range found.Oldest {
		out.Oldest[i] = LongTransaction(t)
	}
	return out
}

// orNull returns nil for the zero time.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
