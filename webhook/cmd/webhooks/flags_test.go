package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A time that the program has printed can be given back to it.
func TestTimesArePrintedAsTheyAreRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 22, 30, 15, 0, time.UTC)
	for text, want := range map[string]time.Time{
		stamp(at):                   at,
		"2026-02-01":                time.Date(2026, 1, 31, 18, 30, 0, 0, time.UTC),
		"2026-01-31T22:30:15Z":      at,
		"2026-01-31T23:30:15+01:00": at,
		"1769898615":                at,
	} {
		var got timeValue
		require.NoError(t, got.Set(text))
		assert.True(t, want.Equal(got.Time), "%s: %s", text, got.UTC())
	}
	var ago timeValue
	require.NoError(t, ago.Set("90m"))
	assert.WithinDuration(t, time.Now().Add(-90*time.Minute), ago.Time, time.Minute)
	require.ErrorContains(t, ago.Set("yesterday"), "in the zone of this machine")
}
