package sqlstore

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

func TestFindTargets(t *testing.T) {
	t.Parallel()
	targets := make([]match.Target, 0, 10)
	for _, id := range []int64{1, 2, 3, 9, 8, 5, 12} {
		targets = append(targets, match.Target{EndpointID: id})
	}
	find := func(targets []match.Target, ids ...int64) (found []int64) {
		for _, target := range findTargets(targets, ids) {
			if target == nil {
				found = append(found, 0)
			} else {
				found = append(found, target.EndpointID)
			}
		}
		return found
	}
	assert.Equal(t, []int64{2, 3}, find(targets, 2, 3))
	assert.Equal(t, []int64{1, 0, 5, 8, 12}, find(targets, 1, 4, 5, 8, 12),
		"one was removed, and the others have another order")
	assert.Equal(t, []int64{0, 0}, find(targets, 20, 7))
	assert.Equal(t, []int64{0, 0}, find(nil, 1, 2))
	assert.Empty(t, find(targets))
}
