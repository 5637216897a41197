package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	maxIdempotencyKey    = 255
)

// idempotencyKey returns the request's key, empty if it has none.
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
		p.add([]any{"header", headerIdempotencyKey}, typeValue, "must be one key of 1 to %d visible ASCII characters", maxIdempotencyKey)
	}
	return key
}

// idempotentID derives a webhook's id from the key it is created with, so that
// nothing needs to be remembered: a second create finds the first one's webhook
// under its id, in any process, for as long as the webhook is there.
func idempotentID(organizationID, key string) string {
	h := sha256.New()
	h.Write([]byte("create webhook\x00" + organizationID + "\x00" + key))
	return "wh_" + hex.EncodeToString(h.Sum(nil)[:8])
}

// createdBefore answers a create whose id is taken, when its key may say that
// it is a repetition. It is one if the webhook is as the body wants it, or has
// been changed since it was created; otherwise the key was used for another body.
func (a *API) createdBefore(r *request, sub *webhook.Subscription) (*response, error) {
	stored, err := a.dispatcher.Subscription(r.Context(), r.organizationID, sub.ID)
	if err != nil {
		return nil, webhook.ErrExists // another organization's, or deleted just now
	}
	if stored.UpdatedAt.Equal(stored.CreatedAt) && !sameContent(stored, sub) {
		p := &problems{}
		p.add([]any{"header", headerIdempotencyKey}, typeValue, "was used before, with another body")
		return nil, p
	}
	return a.subscriptionResponse(http.StatusCreated, stored, nil)
}

func sameContent(a, b *webhook.Subscription) bool {
	return a.Name == b.Name && a.Paused == b.Paused && slices.Equal(a.EventTypes, b.EventTypes) &&
		slices.EqualFunc(a.Channels, b.Channels, func(x, y webhook.ChannelConfig) bool {
			return x.Channel == y.Channel && sameJSON(x.Configs, y.Configs)
		})
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return decodeExact(a, &x) == nil && decodeExact(b, &y) == nil && reflect.DeepEqual(x, y)
}

// decodeExact decodes JSON with numbers as they are written.
func decodeExact(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(v)
}
