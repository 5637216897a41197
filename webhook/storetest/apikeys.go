package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// apiKeyCases are for stores that keep API keys.
func apiKeyCases(h Harness) []testCase {
	with := func(run func(f *fixture, s webhook.APIKeyStore)) func(*fixture) {
		return func(f *fixture) {
			s := f.Capabilities().APIKeys
			if s == nil {
				f.t.Skip("the store does not declare APIKeys")
			}
			run(f, s)
		}
	}
	cases := []testCase{
		{"Create", with(apiKeyCreate)},
		{"Taken", with(apiKeyTaken)},
		{"List", with(apiKeyList)},
		{"Revoke", with(apiKeyRevoke)},
		{"Use", with(apiKeyUse)},
		{"Bound", with(apiKeyBound)},
		{"RoomIsMade", with(apiKeyRoom)},
		{"Concurrently", with(func(f *fixture, s webhook.APIKeyStore) { apiKeysAtOnce(f, s, s) })},
		{"Cancellation", with(apiKeyCancellation)},
	}
	if h.Peer != nil {
		cases = append(cases, testCase{"Peers", with(func(f *fixture, s webhook.APIKeyStore) {
			peer := h.Peer(f.t, f.inner).Capabilities().APIKeys
			require.NotNil(f.t, peer, "all processes have the same capabilities")
			apiKeyPeers(f, s, peer)
			apiKeysAtOnce(f, s, peer)
		})})
	}
	if h.Reopen != nil {
		cases = append(cases, testCase{"Durability", with(func(f *fixture, s webhook.APIKeyStore) {
			key := addAPIKey(f, s, newAPIKey(org, 1))
			s = h.Reopen(f.t, f.inner).Capabilities().APIKeys
			requireAPIKey(f, s, key, "what a method reported as done survives the death of the process")
		})})
	}
	return cases
}

// newAPIKey makes the n-th API key, whose hash is apiKeyHash(n). All have the same age.
func newAPIKey(organizationID string, n int) webhook.APIKey {
	return webhook.APIKey{ID: fmt.Sprintf("key_%016x", n), OrganizationID: organizationID,
		Name: fmt.Sprint("Key ", n), Rights: webhook.Rights{Role: webhook.RoleOperate},
		CreatedAt: start(), CreatedBy: "ann"}
}

func apiKeyHash(key webhook.APIKey) webhook.APIKeyHash { return sha256.Sum256([]byte(key.ID)) }

func addAPIKey(f *fixture, s webhook.APIKeyStore, key webhook.APIKey) webhook.APIKey {
	f.t.Helper()
	require.NoError(f.t, s.CreateAPIKey(f.ctx, key, apiKeyHash(key), many), "creating an API key")
	return key
}

// requireAPIKey checks what is stored.
func requireAPIKey(f *fixture, s webhook.APIKeyStore, want webhook.APIKey, rule string) {
	f.t.Helper()
	got, err := s.APIKey(f.ctx, apiKeyHash(want))
	require.NoError(f.t, err, rule)
	requireSameAPIKey(f, want, got, rule)
}

func requireSameAPIKey(f *fixture, want, got webhook.APIKey, rule string) {
	f.t.Helper()
	for _, times := range [][2]*time.Time{{&want.CreatedAt, &got.CreatedAt},
		{&want.ExpiresAt, &got.ExpiresAt}, {&want.RevokedAt, &got.RevokedAt},
		{&want.LastUsedAt, &got.LastUsedAt}} {
		require.True(f.t, times[0].Equal(*times[1]), "%s: %v, not %v", rule, *times[0], *times[1])
		require.Equal(f.t, times[0].IsZero(), times[1].IsZero(), "a time that is not set is zero")
		*times[0], *times[1] = time.Time{}, time.Time{}
	}
	require.Equal(f.t, want, got, rule)
}

func apiKeyCreate(f *fixture, s webhook.APIKeyStore) {
	plain := addAPIKey(f, s, newAPIKey(org, 1))
	full := newAPIKey("", 2)
	full.Rights = webhook.Rights{Role: webhook.RoleAdminister, Reveal: true, Operator: true}
	full.ExpiresAt, full.CreatedBy, full.Name = start().Add(time.Hour), "", "Größe 'x' \\ \"y\""
	addAPIKey(f, s, full)
	read := newAPIKey(other, 3)
	read.Role = webhook.RoleRead
	addAPIKey(f, s, read)
	for _, key := range []webhook.APIKey{plain, full, read} {
		requireAPIKey(f, s, key, "an API key is found by its hash, as it was stored")
	}
	_, err := s.APIKey(f.ctx, apiKeyHash(newAPIKey(org, 4)))
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "a hash that is not stored is not found")
}

func apiKeyTaken(f *fixture, s webhook.APIKeyStore) {
	key := addAPIKey(f, s, newAPIKey(org, 1))
	sameID := newAPIKey(other, 1)
	require.ErrorIs(f.t, s.CreateAPIKey(f.ctx, sameID, webhook.APIKeyHash{1}, many),
		webhook.ErrExists, "an id is taken by any organization")
	require.ErrorIs(f.t, s.CreateAPIKey(f.ctx, newAPIKey(other, 2), apiKeyHash(key), many),
		webhook.ErrExists, "a hash is taken by any organization")
	requireAPIKey(f, s, key, "an error leaves everything as it was")
	_, err := s.APIKey(f.ctx, webhook.APIKeyHash{1})
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "an error leaves everything as it was")
}

func listAPIKeys(f *fixture, s webhook.APIKeyStore, q webhook.APIKeyQuery) (ids []string) {
	f.t.Helper()
	found, err := s.APIKeys(f.ctx, q)
	require.NoError(f.t, err)
	for _, key := range found {
		ids = append(ids, key.ID)
	}
	return ids
}

func apiKeyList(f *fixture, s webhook.APIKeyStore) {
	var want []string
	for _, n := range []int{5, 3, 4, 1, 2} { // of the same time two by two, and not in order
		key := newAPIKey(org, n)
		key.CreatedAt = start().Add(time.Duration(n/2) * tick)
		addAPIKey(f, s, key)
	}
	for n := range 5 {
		want = append(want, newAPIKey(org, n+1).ID)
	}
	addAPIKey(f, s, newAPIKey(other, 9))
	require.Equal(f.t, want, listAPIKeys(f, s, webhook.APIKeyQuery{OrganizationID: org}),
		"a list has the organization's API keys, the oldest first")
	require.Empty(f.t, listAPIKeys(f, s, webhook.APIKeyQuery{}),
		"the empty organization is a tenant of its own")
	var pages []string
	q := webhook.APIKeyQuery{OrganizationID: org, Limit: 2}
	for {
		page, err := s.APIKeys(f.ctx, q)
		require.NoError(f.t, err)
		require.LessOrEqual(f.t, len(page), 2, "a page has at most Limit API keys")
		if len(page) == 0 {
			break
		}
		for _, key := range page {
			pages = append(pages, key.ID)
		}
		q.After = page[len(page)-1].Cursor()
	}
	require.Equal(f.t, want, pages, "the pages have each API key once")
	for n := range webhook.DefaultPageSize {
		addAPIKey(f, s, newAPIKey(org, 100+n))
	}
	require.Len(f.t, listAPIKeys(f, s, webhook.APIKeyQuery{OrganizationID: org}),
		webhook.DefaultPageSize, "a Limit of 0 is the default")
}

func apiKeyRevoke(f *fixture, s webhook.APIKeyStore) {
	key := addAPIKey(f, s, newAPIKey(org, 1))
	addAPIKey(f, s, newAPIKey(org, 2))
	for _, stranger := range []string{other, "", org + " "} {
		_, err := s.RevokeAPIKey(f.ctx, start(), stranger, key.ID, "eve")
		require.ErrorIs(f.t, err, webhook.ErrNotFound,
			"an API key of another organization is not found (asked by %q)", stranger)
	}
	_, err := s.RevokeAPIKey(f.ctx, start(), org, "key_none", "eve")
	require.ErrorIs(f.t, err, webhook.ErrNotFound)
	requireAPIKey(f, s, key, "an error leaves everything as it was")

	revoked, err := s.RevokeAPIKey(f.ctx, start().Add(time.Hour), org, key.ID, "bob")
	require.NoError(f.t, err)
	key.RevokedAt, key.RevokedBy = start().Add(time.Hour), "bob"
	requireSameAPIKey(f, key, revoked, "RevokeAPIKey returns the API key as it is now")
	requireAPIKey(f, s, key, "an API key that is revoked is still found, and says so")
	again, err := s.RevokeAPIKey(f.ctx, start().Add(2*time.Hour), org, key.ID, "eve")
	require.NoError(f.t, err)
	requireSameAPIKey(f, key, again, "an API key that is revoked stays as it is")
	requireAPIKey(f, s, newAPIKey(org, 2), "only the one that is named is revoked")
	require.Len(f.t, listAPIKeys(f, s, webhook.APIKeyQuery{OrganizationID: org}), 2,
		"a list has the API keys that are revoked")
}

func apiKeyUse(f *fixture, s webhook.APIKeyStore) {
	key := addAPIKey(f, s, newAPIKey(org, 1))
	addAPIKey(f, s, newAPIKey(org, 2))
	for _, use := range []struct{ at, last time.Duration }{
		{time.Minute, time.Minute}, {time.Hour, time.Hour}, {time.Minute, time.Hour},
	} {
		require.NoError(f.t, s.UseAPIKey(f.ctx, apiKeyHash(key), start().Add(use.at)))
		key.LastUsedAt = start().Add(use.last)
		requireAPIKey(f, s, key, "UseAPIKey moves the last use forward, and never back")
	}
	requireAPIKey(f, s, newAPIKey(org, 2), "only the one that was used has changed")
	require.NoError(f.t, s.UseAPIKey(f.ctx, webhook.APIKeyHash{9}, start()),
		"to use an API key that is not stored does nothing")
}

func requireTooManyAPIKeys(f *fixture, err error, most int) {
	f.t.Helper()
	var limit *webhook.LimitError
	require.ErrorAs(f.t, err, &limit)
	require.Equal(f.t, &webhook.LimitError{Limit: "API keys", Max: most}, limit)
}

func apiKeyBound(f *fixture, s webhook.APIKeyStore) {
	for n := range 3 {
		key := newAPIKey(org, n)
		key.ExpiresAt = start().Add(tick) // all work until then
		require.NoError(f.t, s.CreateAPIKey(f.ctx, key, apiKeyHash(key), 3))
	}
	fourth := newAPIKey(org, 3)
	requireTooManyAPIKeys(f, s.CreateAPIKey(f.ctx, fourth, apiKeyHash(fourth), 3), 3)
	require.Len(f.t, listAPIKeys(f, s, webhook.APIKeyQuery{OrganizationID: org}), 3,
		"an error leaves everything as it was")
	theirs := newAPIKey(other, 4)
	require.NoError(f.t, s.CreateAPIKey(f.ctx, theirs, apiKeyHash(theirs), 1),
		"each organization has a bound of its own")
}

func apiKeyRoom(f *fixture, s webhook.APIKeyStore) {
	for n, hours := range []int{0, 3, 1, 4, 2} { // the first never ends
		key := newAPIKey(org, n)
		if hours > 0 {
			key.ExpiresAt = start().Add(time.Duration(hours) * time.Hour)
		}
		addAPIKey(f, s, key)
	}
	for _, revoked := range []struct{ n, hour int }{{3, 1}, {4, 9}} { // the last after it has expired
		_, err := s.RevokeAPIKey(f.ctx, start().Add(time.Duration(revoked.hour)*time.Hour+tick), org,
			newAPIKey(org, revoked.n).ID, "bob")
		require.NoError(f.t, err)
	}
	// Key 2 has ended after 1 h, 3 just after, 4 after 2 h, and 1 after 3 h.
	late := newAPIKey(org, 5)
	late.CreatedAt = start().Add(2 * time.Hour)
	require.NoError(f.t, s.CreateAPIKey(f.ctx, late, apiKeyHash(late), 4))
	require.Equal(f.t, []string{newAPIKey(org, 0).ID, newAPIKey(org, 1).ID, newAPIKey(org, 4).ID,
		late.ID}, listAPIKeys(f, s, webhook.APIKeyQuery{OrganizationID: org}),
		"those that ended first make room for a new one")
	_, err := s.APIKey(f.ctx, apiKeyHash(newAPIKey(org, 2)))
	require.ErrorIs(f.t, err, webhook.ErrNotFound, "what made room is gone")
	again := newAPIKey(org, 6)
	again.CreatedAt = start().Add(2 * time.Hour)
	requireTooManyAPIKeys(f, s.CreateAPIKey(f.ctx, again, apiKeyHash(again), 3), 3)
	require.Len(f.t, listAPIKeys(f, s, webhook.APIKeyQuery{OrganizationID: org}), 4,
		"nothing is removed if that does not make enough room")
}

// apiKeysAtOnce creates more API keys at once than there may be.
func apiKeysAtOnce(f *fixture, stores ...webhook.APIKeyStore) {
	const most, callers = 5, 16
	var created atomic.Int64
	var running sync.WaitGroup
	for n := range callers {
		running.Go(func() {
			key := newAPIKey("org_concurrent", 1000+n)
			err := stores[n%len(stores)].CreateAPIKey(f.ctx, key, apiKeyHash(key), most)
			if err == nil {
				created.Add(1)
			} else if !errors.Is(err, webhook.ErrUnavailable) {
				assert.ErrorIs(f.t, err, webhook.ErrLimit)
			}
		})
	}
	running.Wait()
	require.EqualValues(f.t, most, created.Load(), "concurrent calls do not exceed the bound together")
	require.Len(f.t, listAPIKeys(f, stores[0], webhook.APIKeyQuery{OrganizationID: "org_concurrent"}),
		most)
}

// apiKeyPeers checks that the next call in any process sees what one has done.
func apiKeyPeers(f *fixture, here, there webhook.APIKeyStore) {
	for n := range 20 {
		key := addAPIKey(f, here, newAPIKey(org, n))
		requireAPIKey(f, there, key, "an API key works in all processes at once")
		key.RevokedAt, key.RevokedBy = start(), "bob"
		_, err := there.RevokeAPIKey(f.ctx, start(), org, key.ID, "bob")
		require.NoError(f.t, err)
		requireAPIKey(f, here, key, "a revocation takes effect in all processes at once")
	}
}

func apiKeyCancellation(f *fixture, s webhook.APIKeyStore) {
	key := addAPIKey(f, s, newAPIKey(org, 1))
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	second := newAPIKey(org, 2)
	require.Error(f.t, s.CreateAPIKey(ctx, second, apiKeyHash(second), many))
	require.Error(f.t, errorOf(s.APIKey(ctx, apiKeyHash(key))))
	require.Error(f.t, errorOf(s.APIKeys(ctx, webhook.APIKeyQuery{OrganizationID: org})))
	require.Error(f.t, errorOf(s.RevokeAPIKey(ctx, start(), org, key.ID, "eve")))
	require.Error(f.t, s.UseAPIKey(ctx, apiKeyHash(key), start()))
	requireAPIKey(f, s, key, "an error leaves everything as it was")
	require.Len(f.t, listAPIKeys(f, s, webhook.APIKeyQuery{OrganizationID: org}), 1)
}
