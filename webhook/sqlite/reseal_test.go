package sqlite_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/sqltest"
	"github.com/mixpeek/webhooks-go/webhook/seal"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

func TestMixedStateAndReseal(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	plain := openSealed(t, path)
	_, err := plain.Reseal(ctx)
	require.ErrorContains(t, err, "Config.Sealer")
	var want []*webhook.Subscription
	for range 120 { // several pages
		want = append(want, create(t, plain, secretSubscription("org")))
	}
	require.NoError(t, plain.Close())

	s := openSealed(t, path, "a")
	list, err := s.Subscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: "org"})
	require.NoError(t, err)
	require.ElementsMatch(t, want, list,
		"a store with a Sealer must read configs that are not encrypted")
	require.NoError(t, s.UpdateSubscription(ctx, want[0], webhook.Quota{}))
	require.NotContains(t, channelsOf(t, path, want[0].ID), "geheim",
		"and sealed when it is written the next time")
	require.Contains(t, channelsOf(t, path, want[1].ID), "geheim")

	n, err := s.Reseal(ctx)
	require.NoError(t, err)
	require.Equal(t, len(want)-1, n, "one subscription was sealed already")
	n, err = s.Reseal(ctx)
	require.NoError(t, err)
	require.Zero(t, n, "a second run must find nothing to seal")
	list, err = s.Subscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: "org"})
	require.NoError(t, err)
	require.ElementsMatch(t, want, list, "subscriptions and their revisions must not change")

	alter(t, path, "VACUUM")
	require.NoError(t, s.Close())
	require.Empty(t, secretsIn(t, path), "after VACUUM and Close no secret may be left in the files")
}

func TestResealWithAnotherKey(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	before := openSealed(t, path, "old")
	want := create(t, before, secretSubscription("org"))
	mixed := openSealed(t, path, "new", "old")
	got, err := mixed.Subscription(ctx, "org", want.ID)
	require.NoError(t, err)
	require.Equal(t, want, got, "every key must decrypt")

	after := openSealed(t, path, "new")
	n, err := after.Reseal(ctx)
	require.Zero(t, n)
	requireSealed(t, err, want.ID, "old", seal.ErrUnknownKey)

	n, err = mixed.Reseal(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	got, err = after.Subscription(ctx, "org", want.ID)
	require.NoError(t, err, "the old key must not be needed any more")
	require.Equal(t, want, got)
	_, err = before.Subscription(ctx, "org", want.ID)
	requireSealed(t, err, want.ID, "new", seal.ErrUnknownKey)
}

func TestResealGoesOnWhereItEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	plain := openSealed(t, path)
	for range 70 {
		create(t, plain, secretSubscription("org"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cut, err := sqlite.Open(ctx, path,
		sqlite.Config{Sealer: &cuttingSealer{sqltest.NewSealer(t, "a"), 3 * 60, cancel}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cut.Close()) })
	done, err := cut.Reseal(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 50, done, "the first page was stored")

	n, err := openSealed(t, path, "a").Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, 20, n, "the first page must not be sealed again")
}

// cuttingSealer cancels a context after it has sealed a number of values.
type cuttingSealer struct {
	*seal.Sealer
	left   int
	cancel context.CancelFunc
}

func (s *cuttingSealer) Seal(
	ctx context.Context, plaintext, additionalData []byte,
) ([]byte, error) {
	if s.left--; s.left == 0 {
		s.cancel()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Sealer.Seal(ctx, plaintext, additionalData)
}

func TestResealLooksAgainAtWhatChangedMeanwhile(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a part of a second of CPU time")
	}
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	old := openSealed(t, path, "old")
	var all []*webhook.Subscription
	for range 3 {
		all = append(all, create(t, old, secretSubscription("org")))
	}
	changed := all[0]
	meddling := &meddlingSealer{Sealer: sqltest.NewSealer(t, "new", "old"), meddle: func() {
		changed.Name = "Changed"
		assert.NoError(t, old.UpdateSubscription(ctx, changed, webhook.Quota{}))
	}}
	s, err := sqlite.Open(ctx, path, sqlite.Config{Sealer: meddling})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	n, err := s.Reseal(ctx)
	require.NoError(t, err)
	require.Equal(t, len(all), n)
	list, err := openSealed(t, path, "new").Subscriptions(ctx,
		webhook.SubscriptionQuery{OrganizationID: "org"})
	require.NoError(t, err)
	require.ElementsMatch(t, all, list,
		"what was stored with the old key meanwhile is resealed too, and not lost")
}

// meddlingSealer calls a function before it seals the first value.
type meddlingSealer struct {
	*seal.Sealer
	once   sync.Once
	meddle func()
}

func (s *meddlingSealer) Seal(
	ctx context.Context, plaintext, additionalData []byte,
) ([]byte, error) {
	s.once.Do(s.meddle)
	return s.Sealer.Seal(ctx, plaintext, additionalData)
}

func TestResealNamesWhatItCannotOpen(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	lost, plain := openSealed(t, path, "lost"), openSealed(t, path)
	for range 12 {
		create(t, lost, secretSubscription("org"))
		create(t, plain, secretSubscription("org"))
	}
	n, err := openSealed(t, path, "a").Reseal(ctx)
	require.Equal(t, 12, n, "the others are sealed")
	require.Equal(t, 10, strings.Count(err.Error(),
		`are sealed with the key "lost": seal: no such key`))
	require.ErrorContains(t, err, "and 2 more subscriptions")
}

func TestResealDuringUpdates(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks.db")
	sqltest.ResealDuringUpdates(t, func(ids ...string) sqltest.SealedStore {
		return openSealed(t, path, ids...)
	})
}
