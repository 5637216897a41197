package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// bulkReplayCases are for stores that keep replays of many deliveries.
func bulkReplayCases(h Harness) []testCase {
	with := func(run func(f *fixture, s webhook.ReplayStore)) func(*fixture) {
		return func(f *fixture) {
			s := f.Capabilities().Replays
			if s == nil {
				f.t.Skip("the store does not declare Replays")
			}
			f.create(hook()) // concurrent calls count of an organization that the store knows
			run(f, s)
		}
	}
	cases := []testCase{
		{"Stored", with(replayStored)},
		{"Claim", with(replayClaim)},
		{"Bounded", with(replaysBounded)},
		{"Concurrently", with(func(f *fixture, s webhook.ReplayStore) { replaysConcurrently(f, s, s) })},
	}
	if h.Peer != nil {
		cases = append(cases, testCase{"Peers", with(func(f *fixture, s webhook.ReplayStore) {
			peer := h.Peer(f.t, f.inner).Capabilities().Replays
			require.NotNil(f.t, peer, "all processes have the same capabilities")
			replaysConcurrently(f, s, peer)
		})})
	}
	return cases
}

func newReplay(n int, organizationID string) *webhook.Replay {
	at := start().Add(time.Duration(n) * time.Second)
	return &webhook.Replay{ID: fmt.Sprintf("rpl_%016d", n), OrganizationID: organizationID,
		Query: webhook.DeliveryQuery{OrganizationID: organizationID, EventType: created,
			Status: webhook.StatusDead, Since: at.Add(-time.Hour), Until: at, Before: 1 << 60, Limit: 7},
		PerSecond: 0.25, SettledBefore: at, CreatedAt: at, CreatedBy: "ada@example.com", Until: at}
}

func replayStored(f *fixture, s webhook.ReplayStore) {
	first, second := newReplay(1, org), newReplay(2, org)
	second.Query.Before, second.Query.Limit = 0, 0 // of all, as most begin
	for _, r := range []*webhook.Replay{first, second} {
		require.NoError(f.t, s.CreateReplay(f.ctx, r))
		require.EqualValues(f.t, 1, r.Revision)
	}
	same := func(want *webhook.Replay, rule string) {
		f.t.Helper()
		got, err := s.FindReplay(f.ctx, org, want.ID)
		require.NoError(f.t, err)
		f.requireTime(want.Until, got.Until, "Until")
		f.requireTime(want.Query.Since, got.Query.Since, "Since")
		a, b := *want, *got
		for _, r := range []*webhook.Replay{&a, &b} {
			for _, at := range []*time.Time{&r.Query.Since, &r.Query.Until, &r.SettledBefore, &r.CreatedAt,
				&r.LastDue, &r.EndedAt, &r.Until} {
				*at = at.UTC().Truncate(time.Microsecond)
			}
		}
		require.Equal(f.t, a, b, rule)
	}
	same(first, "a replay is stored as it is")
	same(second, "a replay of all is stored as it is")
	list, err := s.Replays(f.ctx, org)
	require.NoError(f.t, err)
	require.Len(f.t, list, 2)
	require.Equal(f.t, second.ID, list[0].ID, "the newest comes first")

	stale := *first
	first.Replayed, first.LastDue, first.Query.After = 12, start().Add(time.Minute), 99
	require.NoError(f.t, s.UpdateReplay(f.ctx, first))
	require.EqualValues(f.t, 2, first.Revision)
	same(first, "an update replaces the replay")
	require.ErrorIs(f.t, s.UpdateReplay(f.ctx, &stale), webhook.ErrConflict,
		"an update of an earlier revision is refused")
	first.EndedAt, first.StoppedBy = start().Add(time.Hour), "bob"
	require.NoError(f.t, s.UpdateReplay(f.ctx, first))
	same(first, "a replay that has ended is kept")

	_, err = s.FindReplay(f.ctx, "org_other", first.ID)
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "another organization does not find it")
	foreign := *first
	foreign.OrganizationID = "org_other"
	require.ErrorIs(f.t, s.UpdateReplay(f.ctx, &foreign), webhook.ErrNotFound)
	list, err = s.Replays(f.ctx, "org_other")
	require.NoError(f.t, err)
	require.Empty(f.t, list)
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	require.Error(f.t, s.CreateReplay(ctx, newReplay(3, org)))
	_, err = s.ClaimReplay(ctx, start(), start(), nil)
	require.Error(f.t, err)
	require.Error(f.t, s.UpdateReplay(ctx, second))
	same(second, "a call with a cancelled context changes nothing")
}

func replayClaim(f *fixture, s webhook.ReplayStore) {
	later, earlier, ended := newReplay(2, org), newReplay(1, "org_other"), newReplay(0, org)
	ended.EndedAt = start()
	for _, r := range []*webhook.Replay{later, earlier, ended} {
		require.NoError(f.t, s.CreateReplay(f.ctx, r))
	}
	claim := func(now, until time.Time, skip ...string) *webhook.Replay {
		f.t.Helper()
		r, err := s.ClaimReplay(f.ctx, now, until, skip)
		require.NoError(f.t, err)
		return r
	}
	require.Nil(f.t, claim(earlier.Until.Add(-tick), later.Until), "none is due")
	lease := start().Add(time.Minute)
	r := claim(later.Until, lease)
	require.NotNil(f.t, r)
	require.Equal(f.t, earlier.ID, r.ID, "the earliest of all organizations comes first")
	f.requireTime(lease, r.Until, "Until")
	require.EqualValues(f.t, 2, r.Revision)
	require.ErrorIs(f.t, s.UpdateReplay(f.ctx, earlier), webhook.ErrConflict,
		"a claim raises the revision")
	require.Equal(f.t, later.ID, claim(later.Until, lease).ID)
	require.Nil(f.t, claim(lease.Add(-tick), lease.Add(time.Minute)),
		"those under a lease, and those that have ended, are not claimed")
	require.NoError(f.t, s.UpdateReplay(f.ctx, r), "the holder of a lease stores its progress")
	require.Nil(f.t, claim(lease, lease, "org_other", `"]`, org), "all are skipped")
	r = claim(lease, lease.Add(time.Minute), "org_other", `"]`)
	require.NotNil(f.t, r, "a lease ends")
	require.Equal(f.t, later.ID, r.ID, "that of an organization that is not skipped")
	require.Equal(f.t, earlier.ID, claim(lease, lease.Add(time.Minute)).ID)
}

func replaysBounded(f *fixture, s webhook.ReplayStore) {
	n := 0
	for ; n < webhook.MaxReplays; n++ {
		require.NoError(f.t, s.CreateReplay(f.ctx, newReplay(n, org)))
	}
	require.ErrorIs(f.t, s.CreateReplay(f.ctx, newReplay(n, org)), webhook.ErrLimit,
		"an organization has MaxReplays under way at most")
	require.NoError(f.t, s.CreateReplay(f.ctx, newReplay(n, "org_other")))
	list, err := s.Replays(f.ctx, org)
	require.NoError(f.t, err)
	last := list[0]
	for range webhook.EndedReplaysKept + 10 {
		last.EndedAt = last.CreatedAt
		require.NoError(f.t, s.UpdateReplay(f.ctx, last))
		n++
		last = newReplay(n, org)
		require.NoError(f.t, s.CreateReplay(f.ctx, last))
	}
	list, err = s.Replays(f.ctx, org)
	require.NoError(f.t, err)
	require.LessOrEqual(f.t, len(list), webhook.MaxReplays+webhook.EndedReplaysKept+1,
		"of those that have ended, the newest are kept")
	require.GreaterOrEqual(f.t, len(list), webhook.MaxReplays+webhook.EndedReplaysKept)
	require.Equal(f.t, fmt.Sprintf("rpl_%016d", n), list[0].ID)
	require.Equal(f.t, newReplay(0, org).ID, list[len(list)-1].ID, "those under way stay")
}

// replaysConcurrently lets many create and claim replays at once.
func replaysConcurrently(f *fixture, stores ...webhook.ReplayStore) {
	var made, claimed atomic.Int64
	var running sync.WaitGroup
	for n := range 2 * webhook.MaxReplays {
		running.Go(func() {
			switch err := stores[n%len(stores)].CreateReplay(f.ctx, newReplay(n, org)); {
			case err == nil:
				made.Add(1)
			default:
				assert.ErrorIs(f.t, err, webhook.ErrLimit)
			}
		})
	}
	running.Wait()
	require.EqualValues(f.t, webhook.MaxReplays, made.Load(),
		"concurrent calls do not exceed MaxReplays together")
	now := start().Add(time.Hour)
	for n := range 8 {
		running.Go(func() {
			for range 2 * webhook.MaxReplays {
				r, err := stores[n%len(stores)].ClaimReplay(f.ctx, now, now.Add(time.Hour), nil)
				if !assert.NoError(f.t, err) {
					return
				}
				if r != nil {
					claimed.Add(1)
				}
			}
		})
	}
	running.Wait()
	require.EqualValues(f.t, webhook.MaxReplays, claimed.Load(), "each is claimed once")
}
