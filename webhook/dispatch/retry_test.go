package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func TestRetryPolicyGrowsToItsMaximum(t *testing.T) {
	t.Parallel()
	p := RetryPolicy{Jitter: -1}.withDefaults()
	for attempts, want := range map[int]time.Duration{
		1:       5 * time.Second,
		2:       10 * time.Second,
		5:       80 * time.Second,
		10:      2560 * time.Second,
		11:      time.Hour,
		500:     time.Hour,
		1 << 30: time.Hour,
	} {
		assert.Equal(t, want, p.delay(attempts), "after try %d", attempts)
	}
}

func TestRetryPolicyJitterSpreads(t *testing.T) {
	t.Parallel()
	p := RetryPolicy{InitialInterval: time.Second, Jitter: 0.5}.withDefaults()
	seen := make(map[time.Duration]bool)
	for range 200 {
		d := p.delay(1)
		require.GreaterOrEqual(t, d, 500*time.Millisecond)
		require.LessOrEqual(t, d, 1500*time.Millisecond)
		seen[d] = true
	}
	assert.Greater(t, len(seen), 100, "waits must differ")
}

func TestRetryPolicyBudget(t *testing.T) {
	t.Parallel()
	queued := time.Date(2025, 10, 8, 16, 9, 0, 0, time.UTC)
	p := RetryPolicy{Jitter: -1, MaxAttempts: 3, MaxElapsed: time.Hour}.withDefaults()

	due, ok := p.next(queued, queued, 1, 0)
	assert.True(t, ok)
	assert.Equal(t, queued.Add(5*time.Second), due)

	due, ok = p.next(queued, queued, 2, time.Minute)
	assert.True(t, ok)
	assert.Equal(t, queued.Add(time.Minute), due, "the endpoint's own wait is longer than the backoff")

	_, ok = p.next(queued, queued, 3, 0)
	assert.False(t, ok, "the third failure of three attempts is the last")

	_, ok = p.next(queued.Add(time.Hour), queued, 1, 0)
	assert.False(t, ok, "the next attempt would be later than MaxElapsed")

	unbounded := RetryPolicy{MaxElapsed: -1}.withDefaults()
	_, ok = unbounded.next(queued.Add(10_000*time.Hour), queued, 1000, 0)
	assert.True(t, ok)
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := Config{
		Retry:       RetryPolicy{InitialInterval: -1, Multiplier: 0.5, Jitter: 2, MaxAttempts: -1},
		MaxInFlight: -1,
		Lease:       time.Millisecond,
	}.withDefaults()
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{
		"Retry.InitialInterval", "Retry.Multiplier", "Retry.Jitter", "Retry.MaxAttempts", "MaxInFlight", "Lease",
	}, fields)
}
