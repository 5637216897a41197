package webhook_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func TestRateLimitValidate(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]webhook.RateLimit{
		"invalid: per_second: must be from 0.001 to 10000, is 0":      {},
		"invalid: per_second: must be from 0.001 to 10000, is -1":     {PerSecond: -1},
		"invalid: per_second: must be from 0.001 to 10000, is NaN":    {PerSecond: math.NaN()},
		"invalid: per_second: must be from 0.001 to 10000, is 0.0001": {PerSecond: 0.0001},
		"invalid: per_second: must be from 0.001 to 10000, is 10001":  {PerSecond: 10001},
		"invalid: burst: must be from 0 to 10000, is -1":              {PerSecond: 1, Burst: -1},
		"invalid: burst: must be from 0 to 10000, is 10001":           {PerSecond: 1, Burst: 10001},
	} {
		assert.EqualError(t, l.Validate(), want)
	}
	require.NoError(t, (*webhook.RateLimit)(nil).Validate())
	assert.Nil(t, (*webhook.RateLimit)(nil).Clone())
	sub := webhook.Subscription{RateLimit: &webhook.RateLimit{Burst: -1}}
	require.ErrorContains(t, sub.Validate(), "rate_limit.burst")
}

func TestRateLimitDefaults(t *testing.T) {
	t.Parallel()
	for want, l := range map[webhook.RateLimit]webhook.RateLimit{
		{}:                          {},
		{PerSecond: 0.5, Burst: 1}:  {PerSecond: 0.5},
		{PerSecond: 2.5, Burst: 3}:  {PerSecond: 2.5},
		{PerSecond: 2.5, Burst: 10}: {PerSecond: 2.5, Burst: 10},
	} {
		assert.Equal(t, want, l.WithDefaults())
	}
}

func TestRateLimitJSON(t *testing.T) {
	t.Parallel()
	var sub webhook.Subscription
	require.NoError(t, json.Unmarshal([]byte(`{"rate_limit":{"per_second":0.5,"burst":4}}`), &sub))
	assert.Equal(t, &webhook.RateLimit{PerSecond: 0.5, Burst: 4}, sub.RateLimit)
	written, err := json.Marshal(sub)
	require.NoError(t, err)
	assert.Contains(t, string(written), `"rate_limit":{"per_second":0.5,"burst":4}`)
}
