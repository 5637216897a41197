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
	for _, bytes := range []int{largeRoutes - 1<<10, largeRoutes * 2} {
		var c routeCache
		c.put(nil, routesOf("first", 1, bytes))
		for i := range 20 {
			c.put(nil, routesOf(strconv.Itoa(i), 1, bytes))
			require.NotEmpty(t, c.get([]string{"first"}), "what is in use stays")
			require.LessOrEqual(t, c.others.size+c.large.size, maxRoutesBytes)
		}
		assert.Greater(t, c.others.size+c.large.size, maxRoutesBytes/2)
		assert.Len(t, c.entries, c.others.used.Len()+c.large.used.Len())
	}
}

// One organization with very many webhooks had the routes of all others read again at each event of
// its own.
func TestLargeRoutesLeaveOthersInMemory(t *testing.T) {
	t.Parallel()
	var c routeCache
	names := []string{"a", "b", "c"}
	for _, name := range names {
		c.put(nil, routesOf(name, 1, 1<<20))
	}
	for i := range 10 {
		large := strconv.Itoa(i)
		c.put(nil, routesOf(large, 1, 2*maxRoutesBytes))
		require.Len(t, c.get(append(names, large)), 4, "one that takes more than all may stays alone")
		assert.Equal(t, 1, c.large.used.Len())
	}
	one := c.get([]string{"9"})["9"]
	c.put(one, routesOf("9", 2, 1)) // it has deleted most
	assert.Zero(t, c.large.size)
	assert.Len(t, c.entries, 4)
	for _, name := range append(names, "9") {
		c.put(c.get([]string{name})[name], routesOf(name, 3, 1))
	}
	assert.Less(t, c.others.size, 4_000)
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
	assert.Equal(t, first.size(), c.others.size)
}
