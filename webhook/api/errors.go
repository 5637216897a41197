package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// ErrorResponse is the body of every error except 422, in the form of the contract.
type ErrorResponse struct {
	Success bool        `json:"success"` // always false
	Status  int         `json:"status"`
	Error   ErrorDetail `json:"error"`
}

// ErrorDetail says what went wrong.
type ErrorDetail struct {
	Message string `json:"message"`
	// Type names the kind of error for programs: "NotFoundError", or one of [TypeQuota],
	// [TypeExists], [TypeWrongStatus] and [TypeInProgress].
	Type string `json:"type"`
	// Details has more, such as limits and ids. Null if there is no more to say.
	Details map[string]any `json:"details"`
}

// statusError is an error with its answer.
type statusError struct {
	status  int
	kind    string // ErrorDetail.Type, if that does not follow from the status
	message string
	details map[string]any
	cause   error
	// retryAfter is after how long the same request may succeed; zero means that it is not known.
	retryAfter time.Duration
}

func (e *statusError) Error() string { return "api: " + e.message }
func (e *statusError) Unwrap() error { return e.cause }

// notFound is the error for what the organization does not have, whether or not another
// organization has it.
func notFound(resource, id string) error {
	const maxShown = 128
	if len(id) > maxShown {
		id = id[:maxShown]
	}
	return &statusError{
		status:  http.StatusNotFound,
		message: "There is no such " + resource,
		details: map[string]any{"resource": resource, "id": id},
		cause:   webhook.ErrNotFound,
	}
}

// orNotFound adds the resource and its id to an error that says that something was not found.
func orNotFound(err error, resource, id string) error {
	if errors.Is(err, webhook.ErrNotFound) {
		return notFound(resource, id)
	}
	return err
}

// asStatus turns any error into one with an answer.
func asStatus(err error) *statusError {
	var known *statusError
	var tooLarge *http.MaxBytesError
	var limit *webhook.LimitError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, ErrUnauthenticated):
		return &statusError{status: http.StatusUnauthorized,
			message: "A valid API key is needed: Authorization: Bearer <api key>"}
	case errors.Is(err, ErrForbidden):
		return &statusError{status: http.StatusForbidden, message: "This is not allowed"}
	case errors.Is(err, webhook.ErrNotFound):
		return &statusError{status: http.StatusNotFound, message: "Not found"}
	case errors.Is(err, webhook.ErrExists):
		return &statusError{status: http.StatusConflict, kind: TypeExists,
			message: "The webhook_id is taken"}
	case errors.Is(err, webhook.ErrConflict):
		return &statusError{status: http.StatusConflict,
			message: "Another request has changed the webhook in the meantime"}
	case errors.As(err, &limit):
		return limited(limit)
	case errors.Is(err, dispatch.ErrNoTail):
		return noTail
	case errors.Is(err, dispatch.ErrNoReplays):
		return &statusError{status: http.StatusNotFound, cause: err,
			message: "The store of this service cannot keep replays"}
	case errors.Is(err, dispatch.ErrNoBacklog):
		return &statusError{status: http.StatusNotFound, cause: err,
			message: "The store of this service does not keep how large the backlog was"}
	case errors.Is(err, webhook.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return &statusError{
			status: http.StatusServiceUnavailable, message: "The service is unavailable: try again later",
			cause: err, retryAfter: unavailableTime,
		}
	case errors.As(err, &tooLarge):
		return &statusError{
			status: http.StatusRequestEntityTooLarge, message: "The body is too large",
			details: map[string]any{"max_bytes": tooLarge.Limit},
		}
	}
	return &statusError{status: http.StatusInternalServerError,
		message: "An internal error occurred: try again later"}
}

// Values of [ErrorDetail.Type] that say more than the status.
const (
	// TypeQuota, with status 403, means that the organization has reached a limit, and that waiting
	// does not help.
	TypeQuota = "QuotaExceededError"
	// TypeExists, with status 409, means that the webhook_id is taken.
	TypeExists = "AlreadyExistsError"
	// TypeWrongStatus, with status 409, means that the delivery's status does not allow the operation.
	// The details have its status and its number of attempts.
	TypeWrongStatus = "WrongStatusError"
	// TypeInProgress, with status 409, means that a request with the same Idempotency-Key is in
	// progress.
	TypeInProgress = "InProgressError"
)

func limited(e *webhook.LimitError) *statusError {
	s := &statusError{
		status: http.StatusTooManyRequests, retryAfter: e.RetryAfter, cause: e,
		message: fmt.Sprintf("The organization may have at most %d %s", e.Max, e.Limit),
		details: map[string]any{"limit": e.Limit, "max": e.Max},
	}
	if e.RetryAfter == 0 {
		s.status, s.kind = http.StatusForbidden, TypeQuota
	}
	return s
}

// unavailableTime is the Retry-After of a request that failed because the store is unavailable.
const unavailableTime = 5 * time.Second

// errorType returns the ErrorDetail.Type of a status.
func errorType(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "BadRequestError"
	case http.StatusUnauthorized:
		return "UnauthorizedError"
	case http.StatusForbidden:
		return "ForbiddenError"
	case http.StatusNotFound:
		return "NotFoundError"
	case http.StatusMethodNotAllowed:
		return "MethodNotAllowedError"
	case http.StatusConflict:
		return "ConflictError"
	case http.StatusPreconditionFailed:
		return "PreconditionFailedError"
	case http.StatusRequestEntityTooLarge:
		return "PayloadTooLargeError"
	case http.StatusUnsupportedMediaType:
		return "UnsupportedMediaTypeError"
	case http.StatusTooManyRequests:
		return "TooManyRequestsError"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailableError"
	}
	return "InternalServerError"
}

// fail answers with an error. Unexpected errors are logged and not shown.
func (a *API) fail(w http.ResponseWriter, r *request, err error) {
	var found *problems
	if invalid := (*event.ValidationError)(nil); errors.As(err, &invalid) {
		found = &problems{}
		found.mergeError(invalid)
	}
	if found != nil || errors.As(err, &found) {
		a.answer(w, r, &response{status: http.StatusUnprocessableEntity, body: found.response()})
		return
	}
	e := asStatus(err)
	switch {
	case e.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case e.retryAfter > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
	}
	storeDown := e.status == http.StatusServiceUnavailable && e.cause != nil
	if (e.status == http.StatusInternalServerError || storeDown) && r.Context().Err() == nil {
		a.cfg.Logger.ErrorContext(r.Context(), "api: request failed", "method", r.Method, "path",
			r.URL.Path, "error", err)
	}
	a.answer(w, r, &response{status: e.status, body: ErrorResponse{
		Status: e.status,
		Error: ErrorDetail{Message: e.message, Type: cmp.Or(e.kind, errorType(e.status)),
			Details: e.details},
	}})
}

// answer writes a response.
func (a *API) answer(w http.ResponseWriter, r *request, res *response) {
	h := w.Header()
	h.Set("Cache-Control", "no-store") // answers may have secrets, and change without requests
	for name, value := range maps.All(res.header) {
		h.Set(name, value)
	}
	if res.body == nil {
		w.WriteHeader(res.status)
		return
	}
	body, err := encode(res.body)
	if err != nil {
		a.cfg.Logger.ErrorContext(context.WithoutCancel(r.Context()),
			"api: answer could not be encoded", "path", r.URL.Path, "error", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	// Clipped, because requests share the document.
	write(w, r.place, res.status, append(slices.Clip(body), '\n'))
}

// answerTime is how long a client may take to read an answer.
const answerTime = 30 * time.Second

// write writes an answer. If the client does not read it in time, its connection ends, because
// the request has a place that another request of its organization could use.
func write(w http.ResponseWriter, p *place, status int, body []byte) {
	connection := http.NewResponseController(w)
	_ = connection.SetWriteDeadline(time.Now().Add(answerTime)) // fails for the recorder of a test
	p.wait(hangUpWriting(w))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	if err == nil {
		err = connection.Flush()
	}
	if kept := p.resume(); kept && (err == nil ||
		errors.Is(err, http.ErrNotSupported)) { // the connection may be used again
		_ = connection.SetWriteDeadline(time.Time{})
	}
}

// encode returns the JSON of a body. JSON that is encoded already stays byte by byte as it is.
func encode(body any) ([]byte, error) {
	if raw, ok := body.(json.RawMessage); ok {
		return raw, nil
	}
	return json.Marshal(body)
}

// ValidationResponse is the body of a 422, in the form of the contract: every problem of a request.
type ValidationResponse struct {
	Detail []ValidationProblem `json:"detail"`
}

// ValidationProblem is one rule that one part of a request does not follow.
type ValidationProblem struct {
	// Location is the path to the part: "body", "query", "header" or "path", followed by names and,
	// as numbers, positions in lists.
	Location []any `json:"loc"`
	// Message says what the part must be.
	Message string `json:"msg"`
	// Type names the kind of problem for programs: "missing", "extra_forbidden", "string_type",
	// "value_error", [TypeKeyReused].
	Type string `json:"type"`
}

// The bounds of an answer. Without them it could be many times as large as the request, and take
// as long to make, because many locations share the names of all that they are in.
const (
	maxProblems      = 100
	maxProblemsBytes = 64 << 10 // about
	maxPart          = 128      // bytes of a name in a location
	maxParts         = 64       // of a location; its middle is left out
)

// TypeKeyReused is a value of [ValidationProblem.Type], not of [ErrorDetail.Type]. It means that
// the Idempotency-Key was used before, for a request with another body.
const TypeKeyReused = "idempotency_key_reused"

// The types of problems that are not "<kind>_type".
const (
	typeMissing = "missing"
	typeExtra   = "extra_forbidden"
	typeValue   = "value_error"
	typeJSON    = "json_invalid"
	typeTooLong = "too_long"
	typeTooMany = "too_many_problems"
)

// problems collects what is wrong with a request. As an error it is a 422.
type problems struct {
	list []ValidationProblem
	size int // bytes in the list, about
	more int // beyond the bounds
}

func (p *problems) Error() string {
	return fmt.Sprintf("api: %d problems with the request", len(p.list)+p.more)
}

func (p *problems) add(location []any, kind, format string, args ...any) {
	if p.full() {
		return
	}
	p.put(ValidationProblem{Location: location, Type: kind, Message: fmt.Sprintf(format, args...)})
}

// put adds a problem without checking the bounds.
func (p *problems) put(problem ValidationProblem) {
	problem.Location = shownLocation(problem.Location)
	p.list = append(p.list, problem)
	p.size += len(problem.Message) + len(problem.Type)
	for _, part := range problem.Location {
		name, _ := part.(string)
		p.size += len(name) + len(`"",`)
	}
}

// full reports whether another problem would cross the bounds, and counts it if so.
func (p *problems) full() bool {
	if len(p.list) < maxProblems && p.size < maxProblemsBytes {
		return false
	}
	p.more++
	return true
}

// shownLocation returns a copy of the location with long names cut, and without its middle if it
// is deep.
func shownLocation(location []any) []any {
	const left = "…"
	shown := slices.Clone(location)
	if len(shown) > maxParts {
		shown = slices.Replace(shown, maxParts/2, len(shown)-maxParts/2+1, any(left))
	}
	for i, part := range shown {
		if name, ok := part.(string); ok && len(name) > maxPart {
			shown[i] = strings.ToValidUTF8(name[:maxPart], "") + left
		}
	}
	return shown
}

// merge adds problems with parts that have none yet: a part of the wrong type need not be called
// missing too.
func (p *problems) merge(list []ValidationProblem) {
	said := len(p.list)
	for _, problem := range list {
		about := func(known ValidationProblem) bool {
			return len(known.Location) <= len(problem.Location) &&
				slices.Equal(known.Location, problem.Location[:len(known.Location)])
		}
		if !slices.ContainsFunc(p.list[:said], about) && !p.full() {
			p.put(problem)
		}
	}
}

// mergeError adds the problems that the library found in a body.
func (p *problems) mergeError(err error) {
	var invalid *event.ValidationError
	if errors.As(err, &invalid) {
		p.merge(bodyProblems(invalid))
		p.more += invalid.More
	}
}

// response returns the answer with all problems.
func (p *problems) response() ValidationResponse {
	if p.more == 0 {
		return ValidationResponse{p.list}
	}
	more := ValidationProblem{Location: []any{"body"}, Type: typeTooMany,
		Message: fmt.Sprintf("has %d more problems", p.more)}
	return ValidationResponse{append(slices.Clone(p.list), more)}
}

// err returns nil if there are no problems.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return p
}

// bodyProblems turns problems that the library found in a body into those of an answer.
func bodyProblems(invalid *event.ValidationError) []ValidationProblem {
	list := make([]ValidationProblem, len(invalid.Problems))
	for i, p := range invalid.Problems {
		kind := typeValue
		if p.Code == event.CodeRequired {
			kind = typeMissing
		}
		at := append([]any{"body"}, p.Path()...)
		list[i] = ValidationProblem{Location: at, Message: p.Rule, Type: kind}
	}
	return list
}
