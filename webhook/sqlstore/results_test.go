package sqlstore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func TestEntriesOfResults(t *testing.T) {
	t.Parallel()
	entries := []result{
		{delivery: 1 << 60, endpoint: 1<<40 | 7, state: stateSucceeded, number: 1},
		{delivery: 3, endpoint: 1<<24 | 1, state: statePending, number: 1 << 30},
		{delivery: 4, endpoint: 1 << 62, state: stateCancelled},
	}
	encoded := encodeResults(entries)
	got, err := decodeResults(encoded)
	require.NoError(t, err)
	require.Equal(t, entries, got)
	got, err = decodeResults(nil)
	require.NoError(t, err)
	require.Empty(t, got)
	for n := range encoded {
		if _, err := decodeResults(encoded[:n]); err != nil {
			require.ErrorIs(t, err, errResults)
		}
	}
	_, err = decodeResults(encoded[:len(encoded)-1])
	require.ErrorIs(t, err, errResults)
}

func TestPlacesOfResults(t *testing.T) {
	t.Parallel()
	for _, p := range []place{{0, allEntries}, {1, 0}, {1, 5}, {1 << 50, allEntries}} {
		got, err := placeOf(p.position())
		require.NoError(t, err)
		require.Equal(t, p, got)
		require.GreaterOrEqual(t, p.position(), webhook.ResultPosition)
	}
	_, err := placeOf(7)
	require.ErrorIs(t, err, webhook.ErrPosition)
	require.True(t, place{2, 1}.after(place{1, allEntries}))
	require.False(t, place{1, 1}.after(place{1, 1}))
}
