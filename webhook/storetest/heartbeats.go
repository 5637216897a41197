package storetest

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// processCases are for stores that keep which processes deliver.
func processCases(h Harness) []testCase {
	with := withProcesses
	cases := []testCase{
		{"Put", with(putProcess)},
		{"Replaced", with(processReplaced)},
		{"Removed", with(processRemoved)},
		{"Listed", with(processesListed)},
		{"Pruned", with(processesPruned)},
		{"Cancellation", with(processCancellation)},
	}
	if h.Peer != nil {
		cases = append(cases, testCase{"Peers", with(func(f *fixture, s webhook.ProcessStore) {
			peer := h.Peer(f.t, f.inner).Capabilities().Processes
			require.NotNil(f.t, peer, "all processes have the same capabilities")
			f.heartbeat(s, start(), webhook.Process{ID: "a"})
			f.heartbeat(peer, start().Add(tick), webhook.Process{ID: "b"})
			for _, each := range []webhook.ProcessStore{s, peer} {
				f.requireProcesses(each, "each process sees all of them", "b", "a")
			}
			require.NoError(f.t, peer.RemoveProcess(f.ctx, "b"))
			f.requireProcesses(s, "and that one has stopped", "a")
		})})
	}
	if h.Reopen != nil {
		cases = append(cases, testCase{"Durability", with(func(f *fixture, s webhook.ProcessStore) {
			f.heartbeat(s, start(), webhook.Process{ID: "killed"})
			s = h.Reopen(f.t, f.inner).Capabilities().Processes
			f.requireProcesses(s, "a process that dies stays in the list", "killed")
		})})
	}
	return cases
}

// withProcesses runs on what a store declares.
func withProcesses(run func(f *fixture, s webhook.ProcessStore)) func(*fixture) {
	return func(f *fixture) {
		s := f.Capabilities().Processes
		if s == nil {
			f.t.Skip("the store does not declare Processes")
		}
		run(f, s)
	}
}

// heartbeat stores a process that began to deliver at start, unless it says when.
func (f *fixture) heartbeat(s webhook.ProcessStore, at time.Time, p webhook.Process) {
	f.t.Helper()
	if p.StartedAt.IsZero() {
		p.StartedAt = start()
	}
	require.NoError(f.t, s.PutProcess(f.ctx, at, p), "storing what a process says of itself")
}

func (f *fixture) processes(s webhook.ProcessStore) []webhook.Process {
	f.t.Helper()
	list, err := s.Processes(f.ctx, many)
	require.NoError(f.t, err, "listing the processes")
	return list
}

func (f *fixture) requireProcesses(s webhook.ProcessStore, rule string, ids ...string) {
	f.t.Helper()
	var got []string
	for _, p := range f.processes(s) {
		got = append(got, p.ID)
	}
	require.Equal(f.t, ids, got, rule)
}

// fullProcess is a process that says all it can.
func fullProcess(id string) webhook.Process {
	return webhook.Process{ID: id, Name: "web-1/17 ✓ 'a' \"b\"\\", Version: "v1.2.3-0.20260101+incompatible",
		StartedAt: start().Add(-time.Hour), Stopping: true, InFlight: 1, Queued: 2, Leased: 3, Workers: 4,
		TrippedBreakers: 5, RateLimited: 6, LastClaim: start().Add(-time.Second),
		StoreTime: 1500 * time.Microsecond}
}

func putProcess(f *fixture, s webhook.ProcessStore) {
	require.Empty(f.t, f.processes(s), "a new store knows of no process")
	full := fullProcess("full")
	bare := webhook.Process{ID: strings.Repeat("i", 200), Name: strings.Repeat("ü", 100), StartedAt: start()}
	f.heartbeat(s, start(), full)
	f.heartbeat(s, start().Add(tick), bare)
	full.Heartbeat, bare.Heartbeat = start(), start().Add(tick)
	require.Equal(f.t, []webhook.Process{bare, full}, f.processes(s),
		"all that a process says is kept, and its Heartbeat is the time of the call")
}

func processReplaced(f *fixture, s webhook.ProcessStore) {
	f.heartbeat(s, start(), fullProcess("a"))
	f.heartbeat(s, start(), webhook.Process{ID: "other"})
	at := start().Add(webhook.HeartbeatInterval)
	said := webhook.Process{ID: "a", Name: "again", StartedAt: start().Add(time.Minute), InFlight: 9,
		Heartbeat: start().Add(time.Hour)}
	f.heartbeat(s, at, said)
	said.Heartbeat = at
	list := f.processes(s)
	require.Len(f.t, list, 2, "a process is in the list once")
	require.Equal(f.t, said, list[0], "what a process says replaces all that it said before")
	before := start().Add(-time.Hour)
	f.heartbeat(s, before, said)
	f.requireTime(before, f.processes(s)[1].Heartbeat,
		"the Heartbeat after a clock was set back, which is that of the last call,")
}

func processRemoved(f *fixture, s webhook.ProcessStore) {
	require.NoError(f.t, s.RemoveProcess(f.ctx, "none"), "removing a process that is not there is no error")
	for _, id := range []string{"a", "b"} {
		f.heartbeat(s, start(), webhook.Process{ID: id})
	}
	for range 2 {
		require.NoError(f.t, s.RemoveProcess(f.ctx, "a"))
		f.requireProcesses(s, "only the process that has stopped is removed", "b")
	}
	f.heartbeat(s, start(), webhook.Process{ID: "a"})
	f.requireProcesses(s, "a process can come back", "a", "b")
}

func processesListed(f *fixture, s webhook.ProcessStore) {
	for i := range 5 {
		f.heartbeat(s, start().Add(time.Duration(i/2)*tick), webhook.Process{ID: strconv.Itoa(i)})
	}
	f.requireProcesses(s, "those come first that were heard of last", "4", "2", "3", "0", "1")
	list, err := s.Processes(f.ctx, 2)
	require.NoError(f.t, err)
	require.Len(f.t, list, 2, "the list ends at the limit")
	require.Equal(f.t, "2", list[1].ID)
	for _, limit := range []int{0, -1} {
		_, err := s.Processes(f.ctx, limit)
		require.Error(f.t, err, "Processes needs a limit of at least 1, not %d", limit)
	}
}

func processesPruned(f *fixture, s webhook.ProcessStore) {
	at := start().Add(webhook.ProcessKept)
	f.heartbeat(s, start(), webhook.Process{ID: "old"})
	f.heartbeat(s, start().Add(tick), webhook.Process{ID: "lost"})
	f.heartbeat(s, at, webhook.Process{ID: "alive"})
	prune := func(now time.Time) {
		f.t.Helper()
		n, err := f.Prune(f.ctx, now, webhook.PruneRequest{Limit: 1})
		require.NoError(f.t, err)
		require.Zero(f.t, n, "processes are no part of what Prune counts")
	}
	prune(at.Add(-tick))
	f.requireProcesses(s, "processes are kept for ProcessKept", "alive", "lost", "old")
	prune(at)
	f.requireProcesses(s, "those not heard of for as long go, others stay", "alive", "lost")
	prune(at.Add(2 * webhook.ProcessKept))
	require.Empty(f.t, f.processes(s), "all that are too old go, whatever Limit")
}

func processCancellation(f *fixture, s webhook.ProcessStore) {
	f.heartbeat(s, start(), webhook.Process{ID: "a"})
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	require.Error(f.t, s.PutProcess(ctx, start(), webhook.Process{ID: "b", StartedAt: start()}),
		"PutProcess with a cancelled context is an error")
	require.Error(f.t, s.RemoveProcess(ctx, "a"), "RemoveProcess with a cancelled context is an error")
	_, err := s.Processes(ctx, many)
	require.Error(f.t, err, "Processes with a cancelled context is an error")
	f.requireProcesses(s, "an error leaves everything as it was", "a")
}
