package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func TestIdempotentCreate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	const name, key = "Idempotency-Key", "1f0e-once"
	first := f.do("POST", prefix, plainWebhook, name, key)
	second := f.do("POST", prefix, plainWebhook, name, key)
	assert.Equal(t, first.want(http.StatusCreated), second.want(http.StatusCreated))
	assert.Equal(t, first.Header.Get("ETag"), second.Header.Get("ETag"))
	all, err := f.store.Webhooks(t.Context(), webhook.WebhookQuery{OrganizationID: orgA})
	require.NoError(t, err)
	assert.Len(t, all, 1)

	renamed := strings.Replace(plainWebhook, "plain", "renamed", 1)
	assert.Equal(t, []string{"header.Idempotency-Key: value_error"}, f.do("POST", prefix, renamed, name, key).problems())
	id := all[0].ID
	f.do("PUT", prefix+"/"+id, renamed).want(http.StatusOK)
	assert.Equal(t, "renamed", f.do("POST", prefix, plainWebhook, name, key).want(http.StatusCreated)["webhook_name"],
		"a late repetition does not undo what came after")

	f.do("POST", prefix, plainWebhook, append(f.as(orgB), name, key)...).want(http.StatusCreated)
	assert.NotEqual(t, id, f.create(plainWebhook, name, "another"))
	for _, bad := range []string{"", " ", "a b", "é", strings.Repeat("x", 256)} {
		assert.Equal(t, []string{"header.Idempotency-Key: value_error"}, f.do("POST", prefix, plainWebhook, name, bad).problems())
	}
}

func TestIdempotentCreateWithID(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	body := strings.Replace(plainWebhook, `{`, `{"webhook_id": "wh_0123456789abcdef",`, 1)
	f.create(body, "Idempotency-Key", "k")
	f.create(body, "Idempotency-Key", "k")
	f.do("POST", prefix, body, append(f.as(orgB), "Idempotency-Key", "k")...).errorType(http.StatusConflict)
}
