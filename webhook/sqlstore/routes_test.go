package sqlstore

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/match"
)

// longPattern is what the patterns of routesOf share, which would take half a gigabyte otherwise.
var longPattern = event.Pattern(make([]byte, 1<<20))

// routesOf makes the routes of an organization that count as about so many bytes.
func routesOf(id string, version int64, bytes int) *routes {
	var table *match.Table
	patterns := slices.Repeat([]event.Pattern{longPattern}, bytes/len(longPattern))
	patterns = append(patterns, longPattern[:bytes%len(longPattern)])
	return &routes{organizationID: id, version: version, table: table.With(match.Route{
		At:         webhook.SubscriptionCursor{CreatedAt: time.Unix(1, 0), ID: "wh_" + id},
		EventTypes: patterns,
		Targets:    make([]match.Target, 1),
	})}
}

func TestRouteCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c routeCache
	const large = maxRoutesBytes / 4
	c.put(nil, routesOf("first", 1, large))
	for i := range 10 {
		c.put(nil, routesOf(strconv.Itoa(i), 1, large))
		require.NotEmpty(t, c.get([]string{"first"}), "what is in use stays")
		require.LessOrEqual(t, c.size, maxRoutesBytes)
	}
	assert.Len(t, c.entries, 3)
	assert.Equal(t, 3, c.used.Len())
	c.put(nil, routesOf("huge", 1, 2*maxRoutesBytes))
	assert.Len(t, c.entries, 1, "one that takes more than all may stays alone")
	require.NotEmpty(t, c.get([]string{"huge"}))
	c.put(nil, routesOf("small", 1, 1))
	assert.Empty(t, c.get([]string{"huge"}))
	assert.Less(t, c.size, 1_000)
}

func TestRouteCacheKeepsTheLatest(t *testing.T) {
	t.Parallel()
	var c routeCache
	is := func(version int64) {
		t.Helper()
		require.Equal(t, version, c.get([]string{"org"})["org"].version)
	}
	first, second, third := routesOf("org", 1, 1), routesOf("org", 2, 1), routesOf("org", 3, 1)
	c.put(nil, first)
	c.put(first, third)
	c.put(first, second) // by one that was slower
	is(3)
	c.put(nil, second) // by one that knew nothing
	is(3)
	c.put(third, first) // by one that has seen the database go back
	is(1)
	assert.Equal(t, first.size(), c.size)
}
