package api

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

const (
	// healthTime is how long the store may take to answer a health check.
	healthTime = 2 * time.Second
	// healthKept is for how long an answer of the store is kept.
	healthKept = time.Second
)

// Health says that the API can work.
type Health struct {
	Status string `json:"status"` // always "ok"
}

// health asks the store for one webhook, for load balancers and probes.
func (a *API) health(r *request) (*response, error) {
	if err := a.checks.wait(r.Context(), a.askStore); err != nil {
		if r.Context().Err() == nil {
			a.cfg.Logger.ErrorContext(r.Context(), "api: health check failed", "error", err)
		}
		return nil, &statusError{status: http.StatusServiceUnavailable,
			message: "The store does not answer", retryAfter: unavailableTime}
	}
	return &response{status: http.StatusOK, body: Health{Status: "ok"}}, nil
}

func (a *API) askStore() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the store panics: %v", v)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	_, err = a.dispatcher.Subscriptions(ctx, webhook.SubscriptionQuery{Limit: 1})
	return err
}

// healthChecks asks the store once at a time, because requests for the health need no key. The zero
// value is ready to use.
type healthChecks struct {
	mu      sync.Mutex
	at      time.Time // when the store last answered; zero if it has not
	err     error
	ongoing *healthCheck // nil if there is none
}

type healthCheck struct {
	deadline time.Time
	done     chan struct{}
	err      error // once it is done
}

// wait returns what the store says, or an error once it has taken too long. A store may ignore the
// end of its context, and callers do not wait for that.
func (h *healthChecks) wait(ctx context.Context, ask func() error) error {
	h.mu.Lock()
	if !h.at.IsZero() && time.Since(h.at) < healthKept {
		defer h.mu.Unlock()
		return h.err
	}
	check := h.ongoing
	if check == nil {
		check = &healthCheck{deadline: time.Now().Add(healthTime), done: make(chan struct{})}
		h.ongoing = check
		go h.run(check, ask)
	}
	h.mu.Unlock()
	timer := time.NewTimer(time.Until(check.deadline))
	defer timer.Stop()
	select {
	case <-check.done:
		return check.err
	case <-timer.C:
		return fmt.Errorf("the store has not answered for %s", healthTime)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *healthChecks) run(check *healthCheck, ask func() error) {
	check.err = ask()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.err, h.ongoing = time.Now(), check.err, nil
	close(check.done)
}
