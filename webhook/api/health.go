package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Health says whether the API can work.
type Health struct {
	Status string `json:"status"` // always "ok"
}

// health asks the store for next to nothing, for load balancers and probes.
func (a *API) health(r *request) (*response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if _, err := a.dispatcher.Subscriptions(ctx, webhook.SubscriptionQuery{Limit: 1}); err != nil {
		a.cfg.Logger.ErrorContext(r.Context(), "api: the store does not answer", "error", err)
		return nil, &statusError{status: http.StatusServiceUnavailable, message: "The store does not answer", retryAfter: unavailableTime}
	}
	return &response{status: http.StatusOK, body: Health{Status: "ok"}}, nil
}

func (a *API) getOpenAPI(*request) (*response, error) {
	return &response{status: http.StatusOK, body: json.RawMessage(a.openAPI)}, nil
}
