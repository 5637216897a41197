package dispatch

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func TestExponentialRetryGrowsToItsMaximum(t *testing.T) {
	t.Parallel()
	p := ExponentialRetry{Jitter: NoJitter, MaxElapsed: Forever}
	for attempts, want := range map[int]time.Duration{
		1:       5 * time.Second,
		2:       10 * time.Second,
		5:       80 * time.Second,
		10:      2560 * time.Second,
		11:      time.Hour,
		500:     time.Hour,
		1 << 30: time.Hour,
	} {
		wait, again := p.Next(Failure{Attempts: attempts})
		assert.True(t, again)
		assert.Equal(t, want, wait, "after attempt %d", attempts)
	}
}

func TestExponentialRetryJitterSpreads(t *testing.T) {
	t.Parallel()
	p := ExponentialRetry{InitialInterval: time.Second, MaxInterval: time.Second, Jitter: 0.5}
	seen := make(map[time.Duration]bool)
	for range 200 {
		wait, again := p.Next(Failure{Attempts: 1})
		require.True(t, again)
		require.GreaterOrEqual(t, wait, 500*time.Millisecond)
		require.LessOrEqual(t, wait, p.MaxWait())
		seen[wait] = true
	}
	assert.Greater(t, len(seen), 100, "waits must differ")
	assert.Equal(t, 1500*time.Millisecond, p.MaxWait())
}

func TestFullJitterSpreadsFromZero(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	p := ExponentialRetry{InitialInterval: time.Second, MaxInterval: 4 * time.Second, Jitter: FullJitter}
	require.NoError(t, p.Validate())
	assert.Equal(t, 4*time.Second, p.MaxWait())
	for attempts, most := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 9: 4 * time.Second,
	} {
		tenths := make(map[time.Duration]int)
		for range 1000 {
			wait, again := p.Next(Failure{Attempts: attempts})
			require.True(t, again)
			require.GreaterOrEqual(t, wait, time.Duration(0))
			require.LessOrEqual(t, wait, most)
			tenths[min(wait*10/most, 9)]++
		}
		for i := range time.Duration(10) {
			assert.Greater(t, tenths[i], 50, "about a tenth of the waits are in each tenth: %v", tenths)
		}
	}
}

func TestExponentialRetryBudget(t *testing.T) {
	t.Parallel()
	queued := time.Date(2025, 10, 8, 16, 9, 0, 0, time.UTC)
	p := ExponentialRetry{Jitter: NoJitter, MaxAttempts: 3, MaxElapsed: time.Hour}

	wait, again := p.Next(Failure{At: queued, QueuedAt: queued, Attempts: 1})
	assert.True(t, again)
	assert.Equal(t, 5*time.Second, wait)

	wait, again = p.Next(Failure{At: queued, QueuedAt: queued, Attempts: 2, RetryAfter: time.Minute})
	assert.True(t, again)
	assert.Equal(t, time.Minute, wait, "the endpoint's own wait is longer than the backoff")

	_, again = p.Next(Failure{At: queued, QueuedAt: queued, Attempts: 3})
	assert.False(t, again, "the third failure of three attempts is the last")

	_, again = p.Next(Failure{At: queued.Add(time.Hour), QueuedAt: queued, Attempts: 1})
	assert.False(t, again, "the next attempt would be later than MaxElapsed")

	unbounded := ExponentialRetry{MaxElapsed: Forever}
	_, again = unbounded.Next(Failure{At: queued.Add(10_000 * time.Hour), QueuedAt: queued,
		Attempts: 1000})
	assert.True(t, again)
}

func TestStandardRetryDelaysAreASchedule(t *testing.T) {
	t.Parallel()
	require.NoError(t, RetrySchedule(webhook.StandardRetryDelays()).Validate())
}

func TestRetryScheduleKeepsToItsWaits(t *testing.T) {
	t.Parallel()
	s := RetrySchedule{0, time.Hour, time.Minute}
	require.NoError(t, s.Validate())
	for i, want := range s {
		wait, again := s.Next(Failure{Attempts: i + 1})
		assert.True(t, again)
		assert.Equal(t, want, wait)
	}
	_, again := s.Next(Failure{Attempts: 4})
	assert.False(t, again, "the last wait was used")
	assert.Equal(t, time.Hour, s.MaxWait())
}

func TestRetryPoliciesRefuseWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]RetryPolicy{
		"invalid: Retry: needs at least one wait; ExponentialRetry{MaxAttempts: 1} makes no retries":                           RetrySchedule{},
		"invalid: Retry[1]: must be from 0 to a year, is -1s; Retry[2]: must be from 0 to a year, is 2562047h47m16.854775807s": RetrySchedule{1, -time.Second, Forever},
		"invalid: Retry.MaxElapsed: must be at least 0s, is -1s":                                                               ExponentialRetry{MaxElapsed: -time.Second},
		"invalid: Retry.Jitter: must be from 0 to 1, NoJitter or FullJitter":                                                   ExponentialRetry{Jitter: -0.5},
		"invalid: Retry.MaxInterval: must be at most a year":                                                                   ExponentialRetry{MaxInterval: Forever},
		"invalid: Retry.Multiplier: must be at least 1, is NaN":                                                                ExponentialRetry{Multiplier: math.NaN()},
	} {
		_, err := Config{Retry: p}.withDefaults()
		assert.EqualError(t, err, want)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := Config{
		Retry:       ExponentialRetry{InitialInterval: -1, Multiplier: 0.5, Jitter: 2, MaxAttempts: -1},
		MaxInFlight: -1,
		Lease:       time.Millisecond,
		Retention:   Retention{Succeeded: -1, Dead: -time.Hour},
	}.withDefaults()
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{
		"Retry.InitialInterval", "Retry.Multiplier", "Retry.Jitter", "Retry.MaxAttempts", "MaxInFlight",
		"Lease",
		"Retention.Succeeded", "Retention.Dead",
	}, fields)
}
