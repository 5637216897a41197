//go:build unix

package postgres_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// A process that is killed is lost, for all others to see. One that ends in an orderly way is gone, and
// one that goes on is there.
func TestKilledProcessIsLost(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	service := newService(t, 2*time.Second, false)
	store, err := postgres.Open(t.Context(), service.dsn, postgres.Config{MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	// processes returns those that the store knows of, and whether each is lost by its clock.
	processes := func() map[string]bool {
		now, err := store.Now(t.Context())
		require.NoError(t, err)
		list, err := store.Capabilities().Processes.Processes(t.Context(), webhook.MaxProcesses)
		require.NoError(t, err)
		found := map[string]bool{}
		for i := range list {
			found[list[i].ID] = list[i].Lost(now)
		}
		return found
	}
	// begin starts a process, and returns its id.
	begin := func() (*child, string) {
		before := processes()
		c := service.start()
		var began []string
		eventually(t, "a process that delivers is listed", func() bool {
			all := processes()
			maps.DeleteFunc(all, func(id string, _ bool) bool { _, known := before[id]; return known })
			began = slices.Collect(maps.Keys(all))
			return len(began) > 0
		})
		require.Len(t, began, 1)
		return c, began[0]
	}
	killed, killedID := begin()
	ended, endedID := begin()
	steady, steadyID := begin()
	killed.kill(t)
	ended.terminate(t)
	require.NotContains(t, processes(), endedID, "it has stopped in an orderly way")
	require.Contains(t, processes(), killedID, "nothing has told of its end")
	// As if no process had been heard of for that long.
	execAt(t, service.dsn, fmt.Sprintf("UPDATE webhooks_processes SET heartbeat = heartbeat - %d",
		webhook.ProcessLostAfter.Microseconds()))
	require.True(t, processes()[killedID], "the killed process is lost")
	eventually(t, "the other one is heard of", func() bool {
		lost, listed := processes()[steadyID]
		return listed && !lost
	})
	steady.terminate(t)
	require.Equal(t, map[string]bool{killedID: true}, processes(), "it has not been heard of since")
}
