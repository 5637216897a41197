package sqlite_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

const (
	poisonType     = "poison.made"
	poisonAttempts = 2
)

// poisonDispatcher returns a Dispatcher with a channel that kills the process when it is to send
// the poisoned event.
func poisonDispatcher(store webhook.Store) (*dispatch.Dispatcher, error) {
	channels := channel.NewRegistry()
	err := channels.Register("webhook",
		channel.Func(func(_ context.Context, m *channel.Message) (channel.Result, error) {
			if m.EventType == poisonType {
				if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
					return channel.Result{}, err
				}
				select {} // until the signal arrives
			}
			return channel.Result{StatusCode: 200}, nil
		}))
	if err != nil {
		return nil, err
	}
	return dispatch.New(store, dispatch.Config{
		Channels: channels, Lease: time.Second, PollInterval: 20 * time.Millisecond,
		MaxLostAttempts: poisonAttempts,
		Retry: dispatch.ExponentialRetry{InitialInterval: 20 * time.Millisecond,
			MaxInterval: 100 * time.Millisecond},
		Logger: slog.New(slog.DiscardHandler),
	})
}

// poisonChild runs the dispatcher until no delivery is left.
func poisonChild(path string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	store, err := sqlite.Open(ctx, path, sqlite.Config{})
	if err != nil {
		return err
	}
	d, err := poisonDispatcher(store)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	for unfinished := 1; unfinished > 0; time.Sleep(20 * time.Millisecond) {
		unfinished = 0
		for _, status := range []webhook.Status{webhook.StatusPending, webhook.StatusInFlight} {
			all, err := d.Deliveries(ctx, webhook.DeliveryQuery{Status: status})
			if err != nil {
				return err
			}
			unfinished += len(all)
		}
	}
	stop()
	return errors.Join(<-ended, store.Close())
}

// TestPoison delivers an event that kills the process at each attempt. A new process is started
// after each kill, until one of them finishes.
func TestPoison(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	s := open(t, path)
	d, err := poisonDispatcher(s)
	require.NoError(t, err)
	sub := sqltest.NewSubscription()
	require.NoError(t, d.CreateSubscription(ctx, sub))
	const innocents = 100
	for i := range innocents {
		types := []string{event.ObjectCreated}
		if i == innocents/2 {
			types = append(types, poisonType)
		}
		for _, eventType := range types {
			e := event.New(eventType, event.Subject{Type: "object", ID: "obj_1"})
			e.Namespace = "acme"
			require.NoError(t, errorOf(d.Emit(ctx, e)))
		}
	}

	kills := 0
	for {
		child := exec.CommandContext(ctx, os.Args[0])
		child.Env = append(os.Environ(), crashModeEnv+"=poison", crashPathEnv+"="+path)
		err := child.Run()
		if err == nil {
			break
		}
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(),
			"a child ends well or is killed: %v", err)
		kills++
	}
	assert.Contains(t, []int{poisonAttempts, 1 + poisonAttempts}, kills,
		"the first is not known to have begun, unless a process was so slow that its leases ended before")
	dead, err := s.Deliveries(ctx, webhook.DeliveryQuery{Status: webhook.StatusDead})
	require.NoError(t, err)
	require.Len(t, dead, 1)
	assert.Equal(t, poisonType, dead[0].EventType)
	require.Len(t, dead[0].Attempts, poisonAttempts)
	for _, a := range dead[0].Attempts {
		assert.Equal(t, string(dispatch.ClassLost), a.Class)
		assert.Contains(t, a.Error, "the process stopped")
	}
	done, err := s.Deliveries(ctx, webhook.DeliveryQuery{Status: webhook.StatusSucceeded,
		Limit: 2 * innocents})
	require.NoError(t, err)
	assert.Len(t, done, innocents, "the other events must be delivered")
}
