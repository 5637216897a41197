package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/idempotency"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	maxIdempotencyKey    = 255
)

// idempotencyKey returns the request's key, or "" if it has none.
func idempotencyKey(p *problems, r *request) string {
	lines := r.Header.Values(headerIdempotencyKey)
	if len(lines) == 0 {
		return ""
	}
	key := lines[0]
	visible := func(c byte) bool { return ' ' < c && c < 0x7f }
	for _, c := range []byte(key) {
		if !visible(c) {
			key = ""
			break
		}
	}
	if len(lines) > 1 || key == "" || len(key) > maxIdempotencyKey {
		p.add([]any{"header", headerIdempotencyKey}, typeValue,
			"must be one key of 1 to %d visible ASCII characters", maxIdempotencyKey)
	}
	return key
}

// idempotentID returns the id of a webhook that is created with a key. Each try of the request
// gets the same id, so that no try creates a second webhook. The time, to the microsecond, keeps
// other organizations from taking the id first.
func idempotentID(organizationID, key string, began time.Time) string {
	h := sha256.New()
	fmt.Fprintf(h, "create webhook\x00%s\x00%s\x00%d", organizationID, key, began.UnixMicro())
	return "wh_" + hex.EncodeToString(h.Sum(nil)[:8])
}

// idempotent runs work once for all requests with the same Idempotency-Key, in all processes, and
// returns its answer: see [idempotency.Group.Do].
func (a *API) idempotent(r *request, key string, work idempotency.Work) ([]byte, error) {
	if key == "" {
		return work(r.Context(), idempotency.Try{Began: time.Now()})
	}
	p := &problems{}
	// The same path without a slash at its end is the same request.
	key = strings.TrimSuffix(r.URL.Path, "/") + " " + key
	answer, err := a.idempotency.Do(r.Context(), idempotency.Request{
		OrganizationID: r.organizationID, Key: key, Content: r.body,
	}, work)
	switch {
	case errors.Is(err, idempotency.ErrInProgress):
		return nil, &statusError{
			status: http.StatusConflict, kind: TypeInProgress, cause: err, retryAfter: time.Second,
			message: "The first request with this Idempotency-Key is still in progress",
		}
	case errors.Is(err, idempotency.ErrKeyReused):
		p.add([]any{"header", headerIdempotencyKey}, TypeKeyReused, "was used before, with another body")
		return nil, p
	case errors.Is(err, idempotency.ErrUnsupported):
		p.add([]any{"header", headerIdempotencyKey}, typeValue,
			"must not be there: the store of this service cannot remember it")
		return nil, p
	}
	return answer, err
}
