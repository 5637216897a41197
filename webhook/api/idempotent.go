package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// once makes sure that requests with the same Idempotency-Key work once, in
// whatever process, and returns what was answered then. work returns JSON; see
// [dispatch.Dispatcher.Once].
func (a *API) once(r *request, key string, work func(ctx context.Context, tried time.Time) ([]byte, error)) ([]byte, error) {
	if key == "" {
		return work(r.Context(), time.Time{})
	}
	p := &problems{}
	// A path without a slash at its end is the same request as one with it.
	key = strings.TrimSuffix(r.URL.Path, "/") + " " + key
	answer, err := a.dispatcher.Idempotent(r.Context(), r.organizationID, key, r.body, work)
	switch {
	case errors.Is(err, dispatch.ErrInProgress):
		return nil, &statusError{status: http.StatusConflict, message: "The first request with this Idempotency-Key is still under way", cause: err}
	case errors.Is(err, dispatch.ErrKeyReused):
		p.add([]any{"header", headerIdempotencyKey}, typeValue, "was used before, with another body")
		return nil, p
	case errors.Is(err, dispatch.ErrNoIdempotency):
		p.add([]any{"header", headerIdempotencyKey}, typeValue, "must not be there: the store of this service cannot remember it")
		return nil, p
	}
	return answer, err
}
