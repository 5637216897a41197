package memstore

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook"
)

// CheckCounts fails the test if the numbers that endpoints and organizations keep are not those of
// their deliveries.
func (s *Store) CheckCounts(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type counts struct{ pending, inFlight, inLine int64 }
	kept, counted := make(map[*endpoint]counts), make(map[*endpoint]counts)
	dead := make(map[string]int64)
	for _, d := range s.deliveries {
		e := d.endpoint
		kept[e] = counts{e.pending, e.inFlight, e.inLine}
		c := counted[e]
		switch {
		case d.status == webhook.StatusDead:
			dead[d.event.organizationID]++
		case d.status == webhook.StatusInFlight:
			c.inFlight++
		case d.status == webhook.StatusPending:
			c.pending++
			if d.turn == awaiting {
				c.inLine++
			}
		}
		counted[e] = c
	}
	assert.Equal(t, counted, kept)
	for id, o := range s.organizations {
		assert.Equal(t, dead[id], o.dead, id)
	}
	for _, e := range s.events {
		if e.ttl != 0 && e.deliveries.len() > 0 && e.slot == 0 {
			for _, d := range e.deliveries.entries {
				assert.True(t, d.pruned || d.reported().Settled(), "ClaimExpired does not look at %s", e.id)
			}
		}
	}
}
