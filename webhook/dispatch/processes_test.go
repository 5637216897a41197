package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// mutedStore lets heartbeats fail for as long as it is cut off, and counts them.
type mutedStore struct {
	webhook.Store
	cutOff atomic.Bool
	beats  atomic.Int32
}

func (s *mutedStore) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Processes = mutedProcesses{c.Processes, s}
	return c
}

type mutedProcesses struct {
	webhook.ProcessStore
	s *mutedStore
}

func (p mutedProcesses) PutProcess(ctx context.Context, now time.Time, said webhook.Process) error {
	p.s.beats.Add(1)
	if p.s.cutOff.Load() {
		return errors.New("cut off")
	}
	return p.ProcessStore.PutProcess(ctx, now, said)
}

func (p mutedProcesses) RemoveProcess(ctx context.Context, id string) error {
	if p.s.cutOff.Load() {
		return errors.New("cut off")
	}
	return p.ProcessStore.RemoveProcess(ctx, id)
}

// processesOf returns the processes by name, and the names of those that are lost.
func processesOf(t *testing.T, d *dispatch.Dispatcher) (byName map[string]webhook.Process, lost []string) {
	t.Helper()
	list, err := d.Processes(t.Context())
	require.NoError(t, err)
	byName = map[string]webhook.Process{}
	for _, p := range list {
		byName[p.Name] = p
		if p.Lost(time.Now()) {
			lost = append(lost, p.Name)
		}
	}
	require.Len(t, byName, len(list))
	return byName, lost
}

// Each process that delivers is listed with what it does, until it stops. One that ends in another way
// is lost, and forgotten later.
func TestProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		dying := &mutedStore{Store: store}
		release := make(chan struct{})
		first := benchOn(t, store, dispatch.Config{PollInterval: slowPoll, ProcessName: "first", DrainTimeout: time.Hour},
			func(ctx context.Context, m *channel.Message) (channel.Result, error) {
				<-release
				return accept(ctx, m)
			})
		second := benchOn(t, dying, dispatch.Config{PollInterval: slowPoll, ProcessName: "second"}, accept)
		idle := benchOn(t, store, dispatch.Config{PollInterval: slowPoll, ProcessName: "idle"}, accept)
		first.subscribe(t, "*")
		counts := func(alive, lost int) {
			t.Helper()
			s, err := idle.Stats(t.Context())
			require.NoError(t, err)
			assert.Equal(t, &dispatch.ProcessCounts{Alive: alive, Lost: lost}, s.Processes)
		}
		counts(0, 0)
		began := time.Now().UTC()
		stopFirst := first.run(t)
		synctest.Wait()
		first.emit(t, event.ObjectCreated)
		elapse(time.Minute)
		stopSecond := second.run(t)
		synctest.Wait()
		list, lost := processesOf(t, idle.Dispatcher)
		assert.Empty(t, lost)
		require.Len(t, list, 2, "a process that does not run Run is not listed")
		p := list["first"]
		stats := first.Process(t.Context())
		assert.Equal(t, webhook.Process{ID: stats.ID, Name: "first", Version: "(devel)", StartedAt: began,
			Heartbeat: p.Heartbeat, InFlight: 1, Leased: 1, Workers: stats.Workers,
			LastClaim: p.LastClaim}, p)
		assert.NotEqual(t, p.ID, list["second"].ID)
		assert.WithinRange(t, p.LastClaim, time.Now().Add(-webhook.HeartbeatInterval), time.Now())
		counts(2, 0)

		dying.cutOff.Store(true)
		elapse(webhook.ProcessLostAfter + webhook.HeartbeatInterval)
		_, lost = processesOf(t, idle.Dispatcher)
		assert.Equal(t, []string{"second"}, lost)
		counts(1, 1)
		dying.cutOff.Store(false)
		elapse(webhook.HeartbeatInterval)
		counts(2, 0)
		dying.cutOff.Store(true)
		stopSecond()
		elapse(webhook.ProcessLostAfter)
		counts(1, 1)
		elapse(webhook.ProcessKept + time.Minute)
		counts(1, 0)

		// The first one waits for the attempt in flight.
		go stopFirst()
		elapse(10 * time.Second)
		list, _ = processesOf(t, idle.Dispatcher)
		assert.True(t, list["first"].Stopping)
		elapse(10 * time.Minute)
		_, lost = processesOf(t, idle.Dispatcher)
		assert.Empty(t, lost, "a process that is stopping is alive")
		close(release)
		synctest.Wait()
		counts(0, 0)

		first.emit(t, event.ObjectCreated)
		require.NoError(t, idle.Drain(t.Context()))
		counts(0, 0)
	})
}

// A heartbeat is one write in a quarter of a minute. If it fails, the log says so once, and what the
// process does goes on.
func TestHeartbeatsThatFail(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &mutedStore{Store: memstore.New()}
		var log bytes.Buffer
		b := benchOn(t, store, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, accept)
		b.subscribe(t, "*")
		stop := b.run(t)
		elapse(10 * time.Minute)
		assert.LessOrEqual(t, store.beats.Load(), int32(10*4+1))
		store.cutOff.Store(true)
		elapse(10 * time.Minute)
		b.emit(t, event.ObjectCreated)
		elapse(time.Second)
		assert.Equal(t, 1, b.count(t, webhook.StatusSucceeded))
		stop()
		assert.Equal(t, 1, strings.Count(log.String(), "msg=\"webhook: the store fails\""), log.String())
		assert.Equal(t, 1, strings.Count(log.String(), "op=\"store a heartbeat\""), log.String())
		list, err := b.Processes(t.Context())
		require.NoError(t, err)
		assert.Len(t, list, 1, "it stays in the list")

		store.cutOff.Store(false)
		stop = b.run(t)
		elapse(time.Second)
		stop()
		list, err = b.Processes(t.Context())
		require.NoError(t, err)
		assert.Empty(t, list, "the next Run is the same process")
	})
}

func TestProcessName(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{strings.Repeat("x", 201), "a\x00b", "a\nb", "\xff"} {
		_, err := dispatch.New(memstore.New(), dispatch.Config{ProcessName: bad})
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid, "%q", bad)
		assert.ErrorContains(t, err, "ProcessName")
	}
	for _, name := range []string{strings.Repeat("x", 200), "web 1 ✓"} {
		d, err := dispatch.New(memstore.New(), dispatch.Config{ProcessName: name})
		require.NoError(t, err)
		assert.Equal(t, name, d.Process(t.Context()).Name)
	}
	host, err := os.Hostname()
	require.NoError(t, err)
	d, err := dispatch.New(memstore.New(), dispatch.Config{})
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("%s/%d", host, os.Getpid()), d.Process(t.Context()).Name)
}

func TestProcessesNeedAStoreThatKeepsThem(t *testing.T) {
	t.Parallel()
	b := benchOn(t, incapable{memstore.New()}, dispatch.Config{}, accept)
	stop := b.run(t)
	_, err := b.Processes(t.Context())
	require.ErrorIs(t, err, dispatch.ErrNoProcesses)
	s, err := b.Stats(t.Context())
	require.NoError(t, err)
	assert.Nil(t, s.Processes)
	stop()
}
