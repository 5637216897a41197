package sqlstore

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

func lease(id int, token int64) webhook.Lease {
	return webhook.Lease{DeliveryID: webhook.DeliveryID(id), Token: token}
}

func TestLeases(t *testing.T) {
	t.Parallel()
	var l leases
	l.remember([]webhook.Task{{Lease: lease(1, 1)}, {Lease: lease(2, 1)}}, []int64{10, 20})
	settlements := []webhook.Settlement{{Lease: lease(2, 1)}, {Lease: lease(1, 2)},
		{Lease: lease(1, 1)}}
	endpointIDs, unknown := l.known(settlements)
	assert.Equal(t, []int64{20, 0, 10}, endpointIDs, "a lease is a delivery and a token")
	assert.Equal(t, []int64{1}, unknown)
	l.forget(settlements[:1])
	endpointIDs, unknown = l.known(settlements)
	assert.Equal(t, []int64{0, 0, 10}, endpointIDs)
	assert.Equal(t, []int64{2, 1}, unknown)
}

// Leases that are never settled must not take more and more memory.
func TestLeasesAreBounded(t *testing.T) {
	t.Parallel()
	var l leases
	const batch = 1_000
	tasks, endpointIDs := make([]webhook.Task, batch), make([]int64, batch)
	for n := range maxLeases/batch + 2 {
		for i := range tasks {
			tasks[i].Lease, endpointIDs[i] = lease(n*batch+i+1, 1), 7
		}
		l.remember(tasks, endpointIDs)
		require.LessOrEqual(t, len(l.endpoints), maxLeases)
		_, unknown := l.known([]webhook.Settlement{{Lease: tasks[0].Lease}})
		require.Empty(t, unknown, "the latest are remembered")
	}
}
