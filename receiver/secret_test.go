package receiver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/receiver"
)

// Several secrets are valid at a time, each until its NotAfter.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		change := time.Now().Add(time.Hour)
		b := setup(t, func(c *receiver.Config) {
			c.Secrets = []receiver.Secret{{Value: "the-old-secret-of-yesterday", NotAfter: change},
				{Value: secret}}
		})
		accepted := func(value string) bool {
			r := post(envelope(t, "evt_1"))
			r.Header.Set("X-Mixpeek-Secret", value)
			_, err := b.Check(r)
			return err == nil
		}
		assert.True(t, accepted("the-old-secret-of-yesterday"))
		assert.True(t, accepted(secret))
		time.Sleep(time.Hour)
		assert.True(t, accepted("the-old-secret-of-yesterday"), "its last moment")
		time.Sleep(time.Nanosecond)
		assert.False(t, accepted("the-old-secret-of-yesterday"))
		assert.True(t, accepted(secret))
	})
}

func TestSecretHeaderName(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *receiver.Config) { c.SecretHeader = "x-acme-token" })
	_, err := b.Check(post(envelope(t, "evt_1")))
	require.ErrorIs(t, err, receiver.ErrSecretMissing)
	r := post(envelope(t, "evt_1"))
	r.Header.Set("X-Acme-Token", secret)
	_, err = b.Check(r)
	require.NoError(t, err)
}

// A short secret works. The log has a warning without the secret.
func TestShortSecret(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *receiver.Config) {
		c.Secrets = []receiver.Secret{{Value: "whsec_secret"}}
	})
	assert.Contains(t, b.log.String(), "level=WARN")
	assert.Contains(t, b.log.String(), "bytes=12")
	assert.NotContains(t, b.log.String(), "whsec_secret")
	assert.Empty(t, setup(t).log.String())
}

// No way of printing shows a secret.
func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	s := receiver.Secret{Value: "hush-hush-hush"}
	cfg := receiver.Config{Secrets: []receiver.Secret{s}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		assert.NotContains(t, fmt.Sprintf(verb, s), "hush", verb)
		assert.NotContains(t, fmt.Sprintf(verb, &s), "hush", verb)
		assert.NotContains(t, fmt.Sprintf(verb, cfg), "hush", verb)
		assert.NotContains(t, fmt.Sprintf(verb, cfg), fmt.Sprintf("%x", "hush"), verb)
	}
	data, err := json.Marshal(cfg.Secrets)
	require.NoError(t, err)
	assert.Equal(t, `["[redacted]"]`, string(data))

	rcv, err := receiver.New(receiver.Config{Secrets: []receiver.Secret{{Value: strings.Repeat("hush",
		8)}}})
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%+v", rcv), "hush")
}
