package memstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// A key that is used again and again must not keep what has expired in memory.
func TestRequestsExpireBehindOneThatBeganAgain(t *testing.T) {
	t.Parallel()
	s := New()
	begin := func(key int, at time.Duration) webhook.IdempotentRequest {
		began := time.Date(2025, 10, 8, 0, 0, 0, 0, time.UTC).Add(at)
		r := webhook.IdempotentRequest{Key: fmt.Appendf(nil, "%032d", key), Began: began,
			Until: began.Add(time.Minute)}
		r, work, err := s.BeginIdempotent(t.Context(), r, began.Add(-24*time.Hour))
		require.NoError(t, err)
		require.True(t, work)
		return r
	}
	begin(0, 0)
	require.NoError(t, s.EndIdempotent(t.Context(), begin(1, time.Minute))) // without an answer
	for key := 2; key < 10; key++ {
		begin(key, time.Hour)
	}
	begin(1, 23*time.Hour)
	begin(10, 26*time.Hour)
	assert.Len(t, s.requests.byKey, 2, "the two of the last day")
	assert.Len(t, s.requests.order, 2)
}
