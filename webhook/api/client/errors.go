package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/idempotency"
)

// Error is what the API answered instead of doing what it was asked to.
//
// By [errors.Is] it matches the error that the same call of a Dispatcher returns:
//
//   - [webhook.ErrNotFound]: the organization has no such webhook, delivery or event.
//   - [webhook.ErrExists]: the id of a new webhook is taken.
//   - [webhook.ErrConflict]: another request has changed the webhook (409 and 412).
//   - [webhook.ErrWrongStatus]: the status of the delivery does not allow the call.
//   - [webhook.ErrLimit]: the organization has reached a limit.
//   - [webhook.ErrUnavailable]: the service cannot answer now.
//   - [idempotency.ErrInProgress], [idempotency.ErrKeyReused]: of the idempotency key.
//   - [api.ErrUnauthenticated], [api.ErrForbidden]: of the API key.
type Error struct {
	// StatusCode is the HTTP status.
	StatusCode int
	// Type names the kind of error: "NotFoundError". Empty for a 422, and where
	// the answer is not the API's own.
	Type string
	// Message is for people.
	Message string
	// Details may say more.
	Details map[string]any
	// RetryAfter is after how long the API says that the request may be tried
	// again; zero if it does not say.
	RetryAfter time.Duration
	// Problems say what is wrong with the request, for a 422.
	Problems []api.ValidationProblem
}

func newError(status int, header http.Header, body []byte) error {
	e := &Error{StatusCode: status, Message: http.StatusText(status)}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	var invalid api.ValidationResponse
	if json.Unmarshal(body, &invalid) == nil && len(invalid.Detail) > 0 {
		e.Problems = invalid.Detail
		return e
	}
	var answer api.ErrorResponse
	if json.Unmarshal(body, &answer) == nil && answer.Error.Type != "" {
		e.Type, e.Message, e.Details = answer.Error.Type, answer.Error.Message, answer.Error.Details
	}
	return e
}

// Error says the status, and the message or every problem.
func (e *Error) Error() string {
	if len(e.Problems) == 0 {
		return fmt.Sprintf("client: %d: %s", e.StatusCode, e.Message)
	}
	list := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		list[i] = fmt.Sprintf("%s: %s", strings.Trim(fmt.Sprint(p.Location), "[]"), p.Message)
	}
	return fmt.Sprintf("client: %d: %s", e.StatusCode, strings.Join(list, "; "))
}

// Is matches the errors that the status stands for.
func (e *Error) Is(target error) bool {
	switch e.StatusCode {
	case http.StatusNotFound:
		return target == webhook.ErrNotFound
	case http.StatusConflict:
		return target == conflict(e.Type)
	case http.StatusPreconditionFailed:
		return target == webhook.ErrConflict
	case http.StatusUnprocessableEntity:
		return target == idempotency.ErrKeyReused && slices.ContainsFunc(e.Problems, isKeyReused)
	case http.StatusUnauthorized:
		return target == api.ErrUnauthenticated
	case http.StatusForbidden:
		if e.Type == api.TypeQuota {
			return target == webhook.ErrLimit
		}
		return target == api.ErrForbidden
	case http.StatusTooManyRequests:
		return target == webhook.ErrLimit
	case http.StatusServiceUnavailable:
		return target == webhook.ErrUnavailable
	}
	return false
}

// conflict is what a 409 of the type stands for.
func conflict(errorType string) error {
	switch errorType {
	case api.TypeExists:
		return webhook.ErrExists
	case api.TypeWrongStatus:
		return webhook.ErrWrongStatus
	case api.TypeInProgress:
		return idempotency.ErrInProgress
	}
	return webhook.ErrConflict
}

func isKeyReused(p api.ValidationProblem) bool { return p.Type == api.TypeKeyReused }

// Retryable reports whether the same request may succeed later.
func (e *Error) Retryable() bool {
	return e.StatusCode >= 500 || e.StatusCode == http.StatusTooManyRequests ||
		e.StatusCode == http.StatusRequestTimeout || e.Type == api.TypeInProgress
}
