package sqltest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// CheckSharedPayloads claims deliveries of two events, each for 100 endpoints. Those of an event share
// its payload, so that a large event for many endpoints is in memory once. Deliveries that have expired
// have no payload.
func CheckSharedPayloads(t *testing.T, s webhook.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	sub := NewSubscription()
	for i := range 99 {
		sub.Channels = append(sub.Channels, sub.Channels[0])
		sub.Channels[i+1].Channel = fmt.Sprint("channel", i)
	}
	require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
	payloadOf := func(id string) []byte { return fmt.Appendf(nil, "%q", bytes.Repeat([]byte(id), 1000)) }
	for _, id := range []string{"evt_1", "evt_2"} {
		_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{OrganizationID: sub.OrganizationID, ID: id,
			Type: "a.b", Payload: payloadOf(id), TTL: time.Hour}}, nil)
		require.NoError(t, err)
	}
	tasks, err := s.Claim(ctx, now.Add(time.Minute), webhook.ClaimRequest{
		Until: now.Add(2 * time.Minute), Limit: 200, PerEndpoint: 2})
	require.NoError(t, err)
	require.Len(t, tasks, 200)
	first := make(map[string]*byte)
	for i := range tasks {
		id, payload := tasks[i].EventID, tasks[i].Payload
		require.Equal(t, payloadOf(id), payload)
		if first[id] == nil {
			first[id] = &payload[0]
		}
		require.Same(t, first[id], &payload[0])
	}
	assert.Len(t, first, 2)

	sub.Paused = true
	require.NoError(t, s.UpdateSubscription(ctx, sub, webhook.Quota{}))
	late := now.Add(2 * time.Hour)
	tasks, err = s.ClaimExpired(ctx, late, late.Add(time.Minute), 500)
	require.NoError(t, err)
	require.Len(t, tasks, 200)
	for i := range tasks {
		require.Empty(t, tasks[i].Payload)
	}
}
