package sqlite_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
	"github.com/mixpeek/webhooks-go/webhook/sqlstore"
)

// childEnv is set in a process that child starts, to what that process is to work on.
const childEnv = "WEBHOOKS_SQLITE_CHILD"

// child returns the command that runs one test of this binary in another process. It is thorough, so
// that no test is left out there that runs here.
func child(test, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.count=1", "-thorough")
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
	s, err := sqlite.Open(ctx, path, sqlite.Config{BusyTimeout: time.Minute})
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

// TestLeasesOfADeadProcessEndInSteps claims what a process held that has died, which was stored in
// many calls. No transaction ends the leases of all, because others wait for it, and because a claim
// that is cut off must have made progress.
func TestLeasesOfADeadProcessEndInSteps(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	dead := open(t, filepath.Join(t.TempDir(), "webhooks.db"))
	require.NoError(t, dead.CreateSubscription(ctx, sqltest.NewSubscription(), webhook.Quota{}))
	const events = 250 // of which each transaction takes 100
	for i := range events {
		_, err := dead.Enqueue(ctx, now, []webhook.NewEvent{{ID: fmt.Sprint("evt_", i), Type: "a.b",
			Payload: []byte(`{}`)}}, &webhook.Prefetch{Until: now.Add(time.Minute),
			Take: func(string, webhook.Endpoint) bool { return true }})
		require.NoError(t, err)
	}
	db, err := sql.Open("sqlite", "file:"+dead.path+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	guarded := 0
	s, err := sqlstore.New(ctx, db, sqlstore.SQLite(), sqlstore.Config{Guard: func() error {
		guarded++ // before each transaction and after it
		return nil
	}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	later := now.Add(2 * time.Minute)
	guarded = 0
	tasks, err := s.Claim(ctx, later, webhook.ClaimRequest{Until: later.Add(time.Minute),
		Limit: 2 * events, PerEndpoint: 2 * events})
	require.NoError(t, err)
	assert.Len(t, tasks, events)
	assert.GreaterOrEqual(t, guarded, 2*3, "two pages of 100, and the rest with the claim")
}
