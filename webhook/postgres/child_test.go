//go:build unix

package postgres_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// childEnv holds a childConfig. If it is set, the test binary acts as one process of a service.
const childEnv = "WEBHOOKS_POSTGRES_CHILD"

type childConfig struct {
	Mode   string // "dispatch", "outbox", "read", "everything" or "order"
	DSN    string
	Lease  time.Duration
	SQL    bool   // whether the outbox writes with database/sql instead of pgx
	Read   string // the subscription whose tails are read
	Steady bool   // whether the process says what it uses
}

func TestMain(m *testing.M) {
	text := os.Getenv(childEnv)
	if text == "" {
		os.Exit(runTests(m))
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // returns when the test process ends
		os.Exit(3)
	}()
	var cfg childConfig
	err := json.Unmarshal([]byte(text), &cfg)
	if err == nil {
		run := map[string]func(childConfig) error{
			"dispatch": serve, "outbox": writeOutbox, "everything": doEverything,
			"read":  func(cfg childConfig) error { return readTails(cfg, true, say) },
			"order": deliverInOrder,
		}[cfg.Mode]
		err = run(cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

// runTests runs the tests. Most of them wait for the server or for a timeout for most of their
// time, so more of them run at once than there are processors.
func runTests(m *testing.M) int {
	flag.Parse()
	parallel := false
	flag.Visit(func(f *flag.Flag) { parallel = parallel || f.Name == "test.parallel" })
	if !parallel {
		_ = flag.Set("test.parallel", "6")
	}
	code := m.Run()
	if err := errors.Join(dropTables(), removeFreshCluster()); err != nil {
		fmt.Fprintln(os.Stderr, "cleaning up:", err)
		code = max(code, 1)
	}
	return code
}

// say prints a line for the test. It writes the line at once, so that a killed process has printed
// all of it or nothing.
func say(what, id string) { _, _ = os.Stdout.WriteString(what + " " + id + "\n") }

// serve emits and delivers until it is terminated, and then drains. For each event it says when it
// tries to emit it and when Emit has accepted it.
func serve(cfg childConfig) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	d, store, err := childDispatcher(ctx, cfg)
	if err != nil {
		return err
	}
	var emitters sync.WaitGroup
	for range 2 {
		emitters.Go(func() {
			for ctx.Err() == nil {
				e := newChildEvent()
				say("tried", e.ID)
				if _, err := d.Emit(context.WithoutCancel(ctx), e); err != nil {
					fmt.Fprintln(os.Stderr, "child: emit:", err)
					os.Exit(1)
				}
				say("accepted", e.ID)
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	runCtx, stopRun := context.WithCancel(context.Background())
	defer stopRun()
	ended := make(chan error, 1)
	go func() { ended <- d.Run(runCtx) }()
	<-ctx.Done()
	emitters.Wait()
	stopRun()
	if err := <-ended; err != nil {
		return err
	}
	return store.Close()
}

// readTails reads the tails of a subscription.
func readTails(cfg childConfig, live bool, say func(what, id string)) error {
	ctx := context.Background()
	d, store, err := childDispatcher(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(sqltest.ReadTails(ctx, d, cfg.Read, live, say), store.Close())
}

func deliverInOrder(cfg childConfig) error {
	store, err := postgres.Open(context.Background(), cfg.DSN, postgres.Config{MaxConns: 3})
	if err != nil {
		return err
	}
	return sqltest.DeliverInOrder(context.Background(), store)
}

func newChildEvent() *event.Event {
	e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
	e.Namespace = "acme"
	return e
}

// telling is a store that says which results it has accepted and which it has refused: the id of
// the delivery, and the fencing token.
type telling struct{ webhook.Store }

// Settle implements [webhook.Queue].
func (s telling) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) (refused []webhook.Lease, err error) {
	refused, err = s.Store.Settle(ctx, now, settlements)
	if err != nil {
		return refused, err
	}
	for i := range settlements {
		lease, what := settlements[i].Lease, "settled"
		if slices.Contains(refused, lease) {
			what = "refused"
		}
		say(what, fmt.Sprint(int64(lease.DeliveryID), " ", lease.Token))
	}
	return refused, nil
}

// childAttempts is the retry budget of the child processes, and childMaxLost how many of its attempts
// in a row may be lost with their process before a delivery dies.
const (
	childAttempts = 6
	childMaxLost  = 5
)

func childDispatcher(
	ctx context.Context, cfg childConfig,
) (*dispatch.Dispatcher, *postgres.Store, error) {
	store, err := postgres.Open(ctx, cfg.DSN, postgres.Config{MaxConns: 3})
	if err != nil {
		return nil, nil, err
	}
	channels, err := standard.New(standard.Config{HTTP: channelkit.HTTPConfig{AllowHTTP: true,
		AllowPrivate: true}})
	if err != nil {
		return nil, nil, err
	}
	var retention dispatch.Retention
	if cfg.Mode == "everything" {
		retention = everythingRetention
	}
	var used webhook.Store = store
	if cfg.Mode == "dispatch" || cfg.Mode == "everything" { // and not in the process of the test
		used = telling{store}
	}
	d, err := dispatch.New(used, dispatch.Config{
		Retention: retention,
		Channels:  channels, Lease: cfg.Lease, PollInterval: 50 * time.Millisecond,
		MaxLostAttempts: childMaxLost,
		Retry: dispatch.ExponentialRetry{InitialInterval: 20 * time.Millisecond,
			MaxInterval: 200 * time.Millisecond, MaxAttempts: childAttempts},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	return d, store, err
}

// child is a process that the test controls.
type child struct {
	cmd   *exec.Cmd
	lines chan string // what it said; closed when the process has ended
	log   *lockedBuffer
}

// startChild starts a process. One goroutine calls heard for each line that the process says.
func startChild(t testing.TB, cfg childConfig, heard func(what, id string)) *child {
	t.Helper()
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	c := &child{cmd: exec.Command(os.Args[0]), lines: make(chan string), log: &lockedBuffer{}}
	c.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	c.cmd.Stderr = c.log
	_, err = c.cmd.StdinPipe() // stays open while this process runs
	require.NoError(t, err)
	stdout, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	go func() {
		defer close(c.lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			what, id, _ := strings.Cut(scanner.Text(), " ")
			heard(what, id)
			select {
			case c.lines <- what:
			default: // the test is not waiting for it
			}
		}
	}()
	return c
}

// await returns when the process has said what.
func (c *child) await(t testing.TB, what string) {
	t.Helper()
	for line := range c.lines {
		if line == what {
			return
		}
	}
	assert.Fail(t, "the process has ended", "it has not said %q: %s", what, c.log)
}

func (c *child) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	assert.NoError(t, c.cmd.Process.Signal(s))
}

// kill kills the process, and fails the test if the process had already ended.
func (c *child) kill(t testing.TB) {
	t.Helper()
	c.signal(t, syscall.SIGKILL)
	var exit *exec.ExitError
	if assert.ErrorAs(t, c.wait(), &exit) {
		assert.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(),
			"the process must run until it is killed: %s", c.log)
	}
}

// terminate asks the process to end, and waits until it has.
func (c *child) terminate(t testing.TB) {
	t.Helper()
	c.signal(t, syscall.SIGTERM)
	assert.NoError(t, c.wait(), "%s", c.log)
}

// wait returns when the process has ended and all its lines were read.
func (c *child) wait() error {
	for range c.lines {
	}
	return c.cmd.Wait()
}

// lockedBuffer is a buffer that several goroutines may write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements [io.Writer].
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written so far.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
