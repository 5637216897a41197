package sqlite_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// childEnv is set in a process that child starts, to what that process is to work on.
const childEnv = "WEBHOOKS_SQLITE_CHILD"

// child returns the command that runs one test of this binary in another process.
func child(test, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	return cmd
}

// TestProcesses runs several processes that emit and deliver from one file at the same time. All of
// them emit the same events, and each event must be delivered once.
func TestProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const processes, events = 3, 200
	if path := os.Getenv(childEnv); path != "" {
		deliverUntilEmpty(t, path, events)
		return
	}
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s := open(t, path)
	require.NoError(t, s.CreateSubscription(t.Context(), sqltest.NewSubscription(), webhook.Quota{}))
	var children []*exec.Cmd
	for range processes {
		cmd := child("TestProcesses", path)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		require.NoError(t, cmd.Start())
		children = append(children, cmd)
	}
	for _, cmd := range children {
		require.NoError(t, cmd.Wait())
	}
	all, err := s.Deliveries(t.Context(), webhook.DeliveryQuery{Limit: 2 * events})
	require.NoError(t, err)
	require.Len(t, all, events, "an event is stored once, whichever process emits it")
	for _, d := range all {
		require.Equal(t, webhook.StatusSucceeded, d.Status)
		require.Len(t, d.Attempts, 1, "only one process may claim a delivery")
	}
}

func deliverUntilEmpty(t *testing.T, path string, events int) {
	ctx := t.Context()
	s, err := sqlite.Open(ctx, path, sqlite.Config{})
	require.NoError(t, err)
	for i := range events {
		now := time.Now()
		_, err := s.Enqueue(ctx, now, []webhook.NewEvent{{ID: fmt.Sprint("evt_", i), Type: "a.b",
			Payload: []byte(`{}`)}}, nil)
		require.NoError(t, err)
		tasks, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute),
			Limit: 3, PerEndpoint: 3})
		require.NoError(t, err)
		var settlements []webhook.Settlement
		for _, task := range tasks {
			settlements = append(settlements, webhook.Settlement{
				Lease: task.Lease, Status: webhook.StatusSucceeded, Attempt: &webhook.Attempt{StartedAt: now},
			})
		}
		refused, err := s.Settle(ctx, now, settlements)
		require.NoError(t, err)
		require.Empty(t, refused)
	}
	require.NoError(t, s.Close())
}
