package channel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	config := struct {
		Token channel.Secret   `json:"token"`
		Keys  []channel.Secret `json:"keys"`
		None  channel.Secret   `json:"none,omitempty"`
	}{Token: "sesame", Keys: []channel.Secret{"sesame"}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("opened", "token", config.Token, "config", config)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("opened", "token", config.Token)
	printed := fmt.Sprintf("%v %+v %#v %s %q %x %d", config, config, config, config, config, config,
		config) + log.String()
	assert.NotContains(t, printed, "sesame")
	assert.NotContains(t, printed, "736573616d65")
	assert.Contains(t, printed, "Token:[redacted] Keys:[[redacted]] None:}")
	assert.Empty(t, fmt.Sprint(config.None))

	stored, err := json.Marshal(config)
	require.NoError(t, err)
	assert.JSONEq(t, `{"token":"sesame","keys":["sesame"]}`, string(stored))
}
