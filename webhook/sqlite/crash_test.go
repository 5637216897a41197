package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// The crash test runs this test binary again as a child process that emits and
// delivers, and kills it with SIGKILL at random moments.
const (
	crashModeEnv = "WEBHOOKS_CRASH_MODE" // "emit", "read", "drain", "poison" or "limited"
	crashPathEnv = "WEBHOOKS_CRASH_DB"
	crashURLEnv  = "WEBHOOKS_CRASH_URL"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(crashModeEnv); mode != "" {
		if err := crashChild(mode, os.Getenv(crashPathEnv), os.Getenv(crashURLEnv)); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crashChild emits from four goroutines, and prints the id of each event that
// Emit accepted. In mode "drain" it delivers what is left and exits.
func crashChild(mode, path, url string) error {
	switch mode {
	case "poison":
		return poisonChild(path)
	case "limited":
		return limitedChild(path)
	}
	ctx := context.Background()
	store, err := sqlite.Open(ctx, path, sqlite.Config{BusyTimeout: time.Minute})
	if err != nil {
		return err
	}
	channels, err := standard.New(standard.Config{HTTP: channelkit.HTTPConfig{AllowHTTP: true,
		AllowPrivate: true}})
	if err != nil {
		return err
	}
	d, err := dispatch.New(store, dispatch.Config{
		Channels:     channels,
		Lease:        time.Second,
		PollInterval: 20 * time.Millisecond,
		Retry: dispatch.ExponentialRetry{InitialInterval: 20 * time.Millisecond,
			MaxInterval: 100 * time.Millisecond},
		Logger: slog.New(slog.NewTextHandler(os.Stderr,
			&slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	hooks, err := d.Subscriptions(ctx, webhook.SubscriptionQuery{})
	if err != nil {
		return err
	}
	if len(hooks) == 0 {
		if err := d.CreateSubscription(ctx, &webhook.Subscription{
			Name: "crash", EventTypes: []event.Pattern{"*"},
			Channels: []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{URL: url})},
		}); err != nil {
			return err
		}
	}
	switch mode {
	case "drain":
		return drain(ctx, d, store)
	case "read":
		return sqltest.ReadTails(ctx, d, hooks[0].ID, true, func(what, id string) {
			_, _ = os.Stdout.WriteString(what + " " + id + "\n")
		})
	}
	for range 4 {
		go func() {
			for {
				e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
				e.Namespace = "acme"
				if _, err := d.Emit(ctx, e); err != nil {
					fmt.Fprintln(os.Stderr, "child: emit:", err)
					os.Exit(1)
				}
				// One write, so that a kill leaves a whole line or none.
				_, _ = os.Stdout.WriteString(e.ID + "\n")
			}
		}()
	}
	return d.Run(ctx) // until the process is killed
}

func drain(ctx context.Context, d *dispatch.Dispatcher, store *sqlite.Store) error {
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- d.Run(runCtx) }()
	for {
		// One query for all states: a delivery could go back from in flight to pending between two
		// queries, and be in the result of neither.
		all, err := d.Deliveries(ctx, webhook.DeliveryQuery{Limit: 1_000_000})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(d webhook.Delivery) bool { return !d.Status.Settled() }) {
			stop()
			if err := <-ended; err != nil {
				return err
			}
			return store.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// endpoint counts the deliveries that arrive. It answers some of them with an error.
type endpoint struct {
	mu      sync.Mutex
	arrived map[string]int // answered with 200, by event id
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	decoded, err := event.Decode(body)
	if err != nil || rand.IntN(10) == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrived[decoded.ID]++
}

func TestKilledProcessLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	kills := 8
	if *sqltest.Thorough {
		kills = 60
	}
	sink := &endpoint{arrived: make(map[string]int)}
	server := httptest.NewServer(sink)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "crash.db")

	child := func(mode string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashModeEnv+"="+mode, crashPathEnv+"="+path,
			crashURLEnv+"="+server.URL)
		cmd.Stderr = os.Stderr
		return cmd
	}
	var accepted []string
	for range kills {
		cmd := child("emit")
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewReader(stdout)
		first, err := lines.ReadString('\n') // the child has accepted an event
		require.NoError(t, err, "the child must start again after a kill")
		accepted = append(accepted, strings.TrimSpace(first))
		killer := time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond,
			func() { _ = cmd.Process.Kill() })
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break
			}
			accepted = append(accepted, strings.TrimSpace(line))
		}
		killer.Stop()
		err = cmd.Wait()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(),
			"the child must live until it is killed")
	}
	require.NoError(t, child("drain").Run())

	sink.mu.Lock()
	defer sink.mu.Unlock()
	duplicates := 0
	for _, n := range sink.arrived {
		duplicates += n - 1
	}
	lost := 0
	for _, id := range accepted {
		if sink.arrived[id] == 0 {
			lost++
		}
	}
	t.Logf("%d kills: %d events accepted, %d delivered, %d duplicates",
		kills, len(accepted), len(sink.arrived), duplicates)
	assert.Zero(t, lost, "events that Emit accepted must arrive")
	assert.Greater(t, len(accepted), kills)
}

// TestKilledReadersMissNothing kills processes that emit and deliver, and at the same time those that
// read both tails of a subscription from named positions on.
func TestKilledReadersMissNothing(t *testing.T) {
	sqltest.OnlyThorough(t)
	t.Parallel()
	server := httptest.NewServer(&endpoint{arrived: make(map[string]int)})
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "crash.db")
	var mu sync.Mutex
	accepted := make(map[string]bool)
	var readings sqltest.Readings
	// live runs a process, and kills it some milliseconds after its first line.
	live := func(mode string, heard func(line string)) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashModeEnv+"="+mode, crashPathEnv+"="+path,
			crashURLEnv+"="+server.URL)
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		if !assert.NoError(t, err) || !assert.NoError(t, cmd.Start()) {
			return
		}
		lines := bufio.NewScanner(stdout)
		for n := 0; lines.Scan(); n++ {
			if heard(lines.Text()); n == 0 {
				killer := time.AfterFunc(time.Duration(rand.IntN(300))*time.Millisecond,
					func() { _ = cmd.Process.Kill() })
				defer killer.Stop()
			}
		}
		var exit *exec.ExitError
		if assert.ErrorAs(t, cmd.Wait(), &exit) {
			assert.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), mode)
		}
	}
	emit := func() {
		live("emit", func(line string) {
			mu.Lock()
			defer mu.Unlock()
			accepted[line] = true
		})
	}
	emit() // makes the subscription
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for range 6 {
			live("read", func(line string) {
				what, id, _ := strings.Cut(line, " ")
				readings.Heard(what, id)
			})
		}
	}()
	for done := false; !done; {
		select {
		case <-stopped:
			done = true
		default:
			emit()
		}
	}
	ctx := t.Context()
	store, err := sqlite.Open(ctx, path, sqlite.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	d, err := dispatch.New(store, dispatch.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	hooks, err := d.Subscriptions(ctx, webhook.SubscriptionQuery{})
	require.NoError(t, err)
	require.NoError(t, sqltest.ReadTails(ctx, d, hooks[0].ID, false,
		func(what, id string) { readings.Heard(what, id) }))
	all, err := d.Deliveries(ctx, webhook.DeliveryQuery{Limit: 1_000_000})
	require.NoError(t, err)
	readings.Require(t, accepted, all)
}
