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

// Error is an answer of the API that is an error. For an id that is empty, "." or "..", which a
// path cannot hold, the Client returns an Error with status 404 without a request. A redirect that
// would change the method of a request is an Error too, with its status and the address it names.
//
// [errors.Is] matches it with the error that the same call of a Dispatcher returns:
//
//   - [webhook.ErrNotFound]: the organization has no such webhook, delivery or event.
//   - [webhook.ErrExists]: the id of a new webhook is taken.
//   - [webhook.ErrConflict]: another request has changed the webhook (409 and 412).
//   - [webhook.ErrWrongStatus]: the status of the delivery does not allow the call.
//   - [webhook.ErrLimit]: the organization has reached a limit.
//   - [webhook.ErrUnavailable]: the service cannot answer now.
//   - [idempotency.ErrInProgress]: a request with the same idempotency key is in progress.
//   - [idempotency.ErrKeyReused]: the idempotency key was used for another request.
//   - [api.ErrUnauthenticated]: the API key is missing or not valid.
//   - [api.ErrForbidden]: the API key does not allow the call.
type Error struct {
	// StatusCode is the HTTP status.
	StatusCode int
	// Type names the kind of error: "NotFoundError". Empty for a 422, and for an answer that is
	// not the API's own, such as a proxy's.
	Type string
	// Message is for people to read.
	Message string
	// Details has more, such as limits and ids.
	Details map[string]any
	// RetryAfter is after how long the same request may succeed, if the API says so; otherwise
	// zero.
	RetryAfter time.Duration
	// Problems lists every problem of the request, for a 422.
	Problems []api.ValidationProblem
}

// maxRetryAfter is the largest Error.RetryAfter in seconds, a year. A time.Duration cannot hold every
// number.
const maxRetryAfter = 365 * 24 * 60 * 60

// errorOf returns the error that an answer is. Of a redirect that was not followed it says where
// to.
func errorOf(res *http.Response, body []byte) error {
	e := newError(res.StatusCode, res.Header, body)
	if to, err := res.Location(); err == nil && res.StatusCode/100 == 3 {
		e.Message += ": the API may be at " + to.Redacted()
	}
	return e
}

func newError(status int, header http.Header, body []byte) *Error {
	e := &Error{StatusCode: status, Message: http.StatusText(status)}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, maxRetryAfter)) * time.Second
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

// Error returns the status and the message, or all problems.
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

// Is reports whether the answer stands for the target: see [Error].
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

// conflict returns the error that a 409 with the type stands for.
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
