package event_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

// Functions that run for every event, or for every event and subscription, do not allocate.
// AllocsPerRun does not work in parallel tests.
func TestAllocations(t *testing.T) {
	e, err := event.Decode([]byte(benchEnvelope))
	require.NoError(t, err)
	key := event.CacheKey("acme", "articles", "obj_1")
	collection := event.CollectionScope("articles")
	var matched bool
	buf := make([]byte, 0, 4096)
	for name, test := range map[string]struct {
		allocs float64
		run    func()
	}{
		"AppendJSON":  {0, func() { _, _ = e.AppendJSON(buf) }},
		"MarshalJSON": {1, func() { _, _ = e.MarshalJSON() }},
		"Validate":    {0, func() { _ = e.Validate() }},
		"Pattern.Match": {0,
			func() { matched = event.Pattern("cluster.execution.*").Match(event.ClusterExecutionFailed) }},
		"Lookup":      {0, func() { event.Lookup(event.BatchCompleted) }},
		"Covers":      {0, func() { collection.Covers(key) }},
		"Invalidates": {0, func() { e.Invalidates(key) }},
	} {
		assert.LessOrEqual(t, testing.AllocsPerRun(100, test.run), test.allocs, name)
	}
	assert.True(t, matched)
}
