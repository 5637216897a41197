package signature_test

import (
	"net/http"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/signature"
)

// The Go library of the specification verifies our signatures, and we verify those that it makes.
// It uses the real clock, so this test does too.
func TestPeer(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, body := range []string{"", "{}", `{"name":"Jürgen"}`, "\xff\x00", "a.b.c"} {
		key, oldKey := signature.NewKey(), signature.NewKey()
		peer, err := standardwebhooks.NewWebhook(key.Reveal())
		require.NoError(t, err)

		require.NoError(t, peer.Verify([]byte(body), sign(t, now, []byte(body), key)))
		require.NoError(t, peer.Verify([]byte(body), sign(t, now, []byte(body), oldKey, key)),
			"one of several signatures")
		require.Error(t, peer.Verify([]byte(body), sign(t, now, []byte(body), oldKey)))

		signed, err := peer.Sign("evt_1", now, []byte(body))
		require.NoError(t, err)
		h := sign(t, now, []byte(body), key)
		assert.Equal(t, signed, h.Get(signature.HeaderSignature))
		_, err = newVerifier(t, oldKey, key).Verify(h, now, []byte(body))
		require.NoError(t, err)
	}
}

func TestPeerRawKey(t *testing.T) {
	t.Parallel()
	now := time.Now()
	secret := []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw used as it is, and long enough to be hashed")
	peer, err := standardwebhooks.NewWebhookRaw(secret)
	require.NoError(t, err)
	key, err := signature.RawKey(secret)
	require.NoError(t, err)
	require.NoError(t, peer.Verify([]byte("{}"), sign(t, now, []byte("{}"), key)))

	signed, err := peer.Sign("evt_1", now, []byte("{}"))
	require.NoError(t, err)
	h := http.Header{}
	h.Set("webhook-id", "evt_1")
	h.Set("webhook-timestamp", sign(t, now, nil, key).Get(signature.HeaderTimestamp))
	h.Set("webhook-signature", signed)
	_, err = newVerifier(t, key).Verify(h, now, []byte("{}"))
	require.NoError(t, err)
}
