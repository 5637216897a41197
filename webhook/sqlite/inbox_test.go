package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/receiver"
	"github.com/mixpeek/webhooks-go/receiver/inbox"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

const (
	inboxPathEnv = "WEBHOOKS_INBOX_DB" // set in the child process
	inboxSecret  = "correct-horse-battery-staple"
	inboxEvents  = 40 // more than handlers run at a time
)

// inboxMount opens the database, and returns an inbox on it behind a receiver.
func inboxMount(
	ctx context.Context, path string, lease time.Duration, h receiver.HandlerFunc,
) (*sqlite.Store, *inbox.Inbox, http.Handler, error) {
	quiet := slog.New(slog.DiscardHandler)
	store, err := sqlite.Open(ctx, path, sqlite.Config{})
	if err != nil {
		return nil, nil, nil, err
	}
	in, err := inbox.New(store, h, inbox.Config{Dispatcher: dispatch.Config{
		Lease: lease, PollInterval: 20 * time.Millisecond, Logger: quiet,
	}})
	if err != nil {
		return nil, nil, nil, err
	}
	rcv, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: inboxSecret}}, AllowHTTP: true, Logger: quiet,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return store, in, rcv.Handler(receiver.HandlerFunc(in.HandleEvent)), nil
}

// inboxPost sends the i-th event and returns its id and the status of the answer.
func inboxPost(h http.Handler, i int) (id string, status int) {
	id = fmt.Sprintf("evt_%d", i)
	r := httptest.NewRequest(http.MethodPost, "/webhooks",
		strings.NewReader(fmt.Sprintf(`{"event_id":%q,"event_type":"object.created"}`, id)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(receiver.DefaultSecretHeader, inboxSecret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return id, w.Code
}

// inboxChild receives events and prints the id of each that it acknowledged. Its handlers never
// return.
func inboxChild(path string) error {
	ctx := context.Background()
	started := make(chan struct{}, inboxEvents)
	_, in, h, err := inboxMount(ctx, path, time.Second, func(context.Context, *event.Event) error {
		started <- struct{}{}
		select {}
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	for i := range inboxEvents {
		if i == inboxEvents-1 {
			<-started // so that handlers are running when the process is killed
		}
		id, status := inboxPost(h, i)
		if status != http.StatusOK {
			return fmt.Errorf("%s was answered with %d", id, status)
		}
		// One write, so that a kill leaves a whole line or none.
		_, _ = os.Stdout.WriteString(id + "\n")
	}
	return <-ended // until the process is killed
}

// A process acknowledges events, and is killed while it handles some of them and others wait. The
// next process must handle all of them.
func TestInboxOfAKilledProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	if path := os.Getenv(inboxPathEnv); path != "" {
		require.NoError(t, inboxChild(path))
		return
	}
	path := filepath.Join(t.TempDir(), "inbox.db")
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inboxPathEnv+"="+path)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	acknowledged := []string{}
	for len(acknowledged) < inboxEvents && lines.Scan() {
		acknowledged = append(acknowledged, lines.Text())
	}
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait(), "the child must run until it is killed")
	require.Len(t, acknowledged, inboxEvents)

	var mu sync.Mutex
	handled := []string{}
	all := make(chan struct{})
	store, in, h, err := inboxMount(t.Context(), path, time.Minute,
		func(_ context.Context, e *event.Event) error {
			mu.Lock()
			defer mu.Unlock()
			if handled = append(handled, e.ID); len(handled) == inboxEvents {
				close(all)
			}
			return nil
		})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	cut, err := in.Dispatcher().Deliveries(t.Context(), webhook.DeliveryQuery{
		OrganizationID: in.OrganizationID(), Status: webhook.StatusInFlight,
	})
	require.NoError(t, err)
	assert.NotEmpty(t, cut, "the kill must hit events that are being handled")

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	for i := range inboxEvents { // the sender missed the answers
		_, status := inboxPost(h, i)
		require.Equal(t, http.StatusOK, status)
	}
	select {
	case <-all:
	case <-time.After(2 * time.Minute):
		t.Error("events that were acknowledged are not handled")
	}
	stop()
	require.NoError(t, <-ended)
	mu.Lock()
	defer mu.Unlock()
	assert.ElementsMatch(t, acknowledged, handled, "each event must be handled once")
}
