package examples_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

// testManagement subscribes the receiver over the management API, emits, and
// reads the history there.
func testManagement(t *testing.T, programs programs) {
	t.Parallel()
	const secret, key = "a secret that is long enough", "an API key that is long enough"
	receiver := programs.start(t, "receiver", []string{"RECEIVER_SECRET=" + secret},
		"-addr=127.0.0.1:0", "-dev")
	emitter := programs.start(t, "emitter", []string{"EMITTER_API_KEY=" + key},
		"-addr=127.0.0.1:0", "-dev", "-db="+filepath.Join(t.TempDir(), "emitter.db"))
	base := emitter.url("/v1/organizations/webhooks")

	stranger, err := client.New(base, "another key", client.Config{})
	require.NoError(t, err)
	_, err = stranger.List(t.Context())
	require.Error(t, err)
	c, err := client.New(base, key, client.Config{})
	require.NoError(t, err)
	created, err := c.Create(t.Context(), &webhook.Subscription{
		Name: "The receiver", EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
			URL: receiver.url("/webhooks"), Headers: map[string]string{"X-Mixpeek-Secret": secret},
		})},
	})
	require.NoError(t, err)
	for _, cfg := range created.Channels {
		assert.NotContains(t, string(cfg.Configs), secret, "answers mask secrets")
	}

	status, _ := post(t, emitter.url("/events"), []byte(
		`{"event_type":"object.created","namespace":"acme","subject":{"type":"object","id":"obj_1"}}`))
	require.Equal(t, http.StatusAccepted, status)
	require.Eventually(t, func() bool {
		for d, err := range c.Deliveries(t.Context(), created.ID, client.DeliveryFilter{}) {
			if err == nil && d.Status == webhook.StatusSucceeded {
				return true
			}
		}
		return false
	}, patience, 20*time.Millisecond)
	state, err := c.DisableEndpoint(t.Context(), created.ID, "webhook")
	require.NoError(t, err)
	assert.Equal(t, "the management API", state.ChangedBy)
	testConsole(t, emitter.url("/console/subscriptions"), key)
	emitter.stop()
	receiver.stop()
}

// testConsole looks at the console, which asks for the API key as a password.
func testConsole(t *testing.T, page, key string) {
	t.Helper()
	for password, want := range map[string]int{"": 401, "another key": 401, key: 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, http.NoBody)
		require.NoError(t, err)
		if password != "" {
			r.SetBasicAuth("ada", password)
		}
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, want, res.StatusCode)
		assert.Equal(t, want == 200, strings.Contains(string(body), "The receiver"))
		assert.Equal(t, want == 401, res.Header.Get("WWW-Authenticate") != "")
	}
}
