package webhook_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func TestRetryJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]webhook.Retry{
		`{}`: {},
		`{"delays_seconds":[0,60],"max_attempts":3,"max_age_seconds":3600}`: {
			Delays: []time.Duration{0, time.Minute}, MaxAttempts: 3, MaxAge: time.Hour,
		},
	} {
		var got webhook.Retry
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		assert.Equal(t, want, got)
		written, err := json.Marshal(got)
		require.NoError(t, err)
		assert.JSONEq(t, text, string(written))
		require.NoError(t, got.Validate())
		assert.Equal(t, &want, got.Clone())
	}
	var huge webhook.Retry
	require.NoError(t, json.Unmarshal([]byte(`{"max_age_seconds":9223372036854775807}`), &huge))
	assert.EqualError(t, huge.Validate(),
		"invalid: max_age_seconds: must be a whole number from 0 to 2592000")
	require.Error(t, json.Unmarshal([]byte(`{"max_attempts":"3"}`), &huge))
}

func TestStandardRetryDelays(t *testing.T) {
	t.Parallel()
	delays := webhook.StandardRetryDelays()
	require.NoError(t, (&webhook.Retry{Delays: delays}).Validate())
	sum := time.Duration(0)
	for _, delay := range delays {
		sum += delay
	}
	assert.Len(t, delays, 9)
	assert.Equal(t, 75*time.Hour+35*time.Minute+5*time.Second, sum, "as in the specification")
	delays[0] = 0
	assert.Equal(t, 5*time.Second, webhook.StandardRetryDelays()[0], "the list is the caller's own")
}

func TestRetryValidate(t *testing.T) {
	t.Parallel()
	long := make([]time.Duration, 31)
	for i := range long {
		long[i] = webhook.MaxRetryDelay
	}
	const delay = "delays_seconds[0]: must be a whole number from 0 to 86400"
	for want, r := range map[string]webhook.Retry{
		delay:        {Delays: []time.Duration{-time.Second}},
		delay + " ":  {Delays: []time.Duration{math.MaxInt64}},
		delay + "  ": {Delays: []time.Duration{time.Millisecond}},
		"delays_seconds: must be at most 2592000 in all":         {Delays: long},
		"delays_seconds: must have at most 100 entries, has 101": {Delays: make([]time.Duration, 101)},
		"max_attempts: must be from 0 to 1000":                   {MaxAttempts: -1},
		"max_attempts: must be from 0 to 1000 ":                  {MaxAttempts: 1001},
	} {
		err := r.Validate()
		require.Error(t, err, want)
		assert.Equal(t, "invalid: "+strings.TrimRight(want, " "), err.Error())
	}
	assert.NoError(t, (*webhook.Retry)(nil).Validate())
	assert.Nil(t, (*webhook.Retry)(nil).Clone())
}
