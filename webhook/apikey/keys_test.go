package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

const org = "org_acme"

// counted is a store that counts and may fail or wait.
type counted struct {
	webhook.Store
	webhook.APIKeyStore
	lookups, writes atomic.Int64
	failure         error         // of lookups
	gate            chan struct{} // what lookups wait for, if it is not nil
}

func (s *counted) Capabilities() webhook.Capabilities { return webhook.Capabilities{APIKeys: s} }

func (s *counted) APIKey(ctx context.Context, hash webhook.APIKeyHash) (webhook.APIKey, error) {
	s.lookups.Add(1)
	if s.failure != nil {
		return webhook.APIKey{}, s.failure
	}
	if s.gate != nil {
		<-s.gate
	}
	return s.APIKeyStore.APIKey(ctx, hash)
}

func (s *counted) UseAPIKey(ctx context.Context, hash webhook.APIKeyHash, at time.Time) error {
	s.writes.Add(1)
	return s.APIKeyStore.UseAPIKey(ctx, hash, at)
}

func newKeys(t testing.TB, cfg apikey.Config) (*apikey.Keys, *counted) {
	t.Helper()
	m := memstore.New()
	s := &counted{Store: m, APIKeyStore: m}
	cfg.Logger = slog.New(slog.DiscardHandler)
	k, err := apikey.New(s, cfg)
	require.NoError(t, err)
	return k, s
}

func create(t testing.TB, k *apikey.Keys, asked webhook.APIKey) (string, webhook.APIKey) {
	t.Helper()
	asked.Name = "Test"
	key, created, err := k.Create(t.Context(), apikey.Service("setup"), asked)
	require.NoError(t, err)
	return key, created
}

func TestCreateAndAuthenticate(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t, apikey.Config{})
	key, created, err := k.Create(t.Context(), apikey.Service("setup"), webhook.APIKey{
		ID: "ignored", OrganizationID: org, Name: "Billing", CreatedBy: "ignored",
		Rights: webhook.Rights{Role: webhook.RoleOperate, Reveal: true}, RevokedAt: time.Now()})
	require.NoError(t, err)
	assert.Regexp(t, `^sk_[0-9a-f]{72}$`, key)
	assert.Regexp(t, `^key_[0-9a-f]{16}$`, created.ID)
	found, err := k.Authenticate(t.Context(), key)
	require.NoError(t, err)
	assert.Equal(t, created, found)
	assert.Equal(t, webhook.APIKey{ID: created.ID, OrganizationID: org, Name: "Billing",
		Rights:    webhook.Rights{Role: webhook.RoleOperate, Reveal: true},
		CreatedAt: created.CreatedAt, CreatedBy: "setup"}, created)
	listed, err := k.List(t.Context(), webhook.APIKeyQuery{OrganizationID: org})
	require.NoError(t, err)
	require.Len(t, listed, 1)
	assert.NotContains(t, fmt.Sprintf("%+v", listed), key[3:40], "a list does not have the key")
	second, _ := create(t, k, webhook.APIKey{OrganizationID: org})
	assert.NotEqual(t, key, second)
	k.Wait()
}

// swapped swaps the first two characters next to each other in a key's random part that differ.
func swapped(key string) string {
	text := []byte(key)
	at := len("sk_")
	for text[at] == text[at+1] {
		at++
	}
	text[at], text[at+1] = text[at+1], text[at]
	return string(text)
}

// Texts that are no API key are refused without a query, and the error tells what is wrong.
func TestMalformed(t *testing.T) {
	t.Parallel()
	k, s := newKeys(t, apikey.Config{})
	key, _ := create(t, k, webhook.APIKey{})
	for name, text := range map[string]string{
		"empty":          "",
		"another prefix": "pk_" + key[3:],
		"cut off":        key[:len(key)-1],
		"too long":       key + "0",
		"upper case":     "sk_" + strings.ToUpper(key[3:]),
		"no digit":       key[:20] + "x" + key[21:],
		"two swapped":    swapped(key),
		"checksum":       key[:67] + "00000000",
		"very long":      strings.Repeat("sk_", 1<<20),
	} {
		_, err := k.Authenticate(t.Context(), text)
		require.ErrorIs(t, err, apikey.ErrMalformed, name)
		assert.NotContains(t, err.Error(), key[10:20], name)
	}
	assert.Zero(t, s.lookups.Load(), "nothing of this is looked up")
	other, _ := newKeys(t, apikey.Config{})
	_, err := other.Authenticate(t.Context(), key)
	require.ErrorIs(t, err, apikey.ErrUnknown, "an API key of another service has the form of one")
}

func TestRevokedAndExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, s := newKeys(t, apikey.Config{})
		peer, err := apikey.New(s, apikey.Config{})
		require.NoError(t, err)
		key, created := create(t, k, webhook.APIKey{OrganizationID: org})
		brief, _ := create(t, k, webhook.APIKey{OrganizationID: org, ExpiresAt: time.Now().Add(time.Hour)})
		for _, works := range []string{key, brief} {
			_, err := peer.Authenticate(t.Context(), works)
			require.NoError(t, err)
		}
		for _, of := range []string{"org_other", ""} {
			_, err := k.Revoke(t.Context(), apikey.Service("ops"), of, created.ID)
			require.ErrorIs(t, err, webhook.ErrNotFound, "it belongs to another organization")
		}
		revoked, err := k.Revoke(t.Context(), apikey.Service("ops\n"), org, created.ID)
		require.NoError(t, err)
		assert.Equal(t, "ops", revoked.RevokedBy)
		_, err = peer.Authenticate(t.Context(), key)
		require.ErrorIs(t, err, apikey.ErrRevoked, "the next request in any process is refused")

		time.Sleep(time.Hour - 1)
		_, err = peer.Authenticate(t.Context(), brief)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		_, err = peer.Authenticate(t.Context(), brief)
		require.ErrorIs(t, err, apikey.ErrExpired)
		k.Wait()
		peer.Wait()
	})
}

// Nothing creates an API key with more rights than its own.
func TestRights(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t, apikey.Config{})
	admin := apikey.Holder{Name: "ann", OrganizationID: org,
		Rights: webhook.Rights{Role: webhook.RoleAdminister}}
	operator := admin
	operator.Operator = true
	brief := admin
	brief.ExpiresAt = time.Now().Add(time.Hour)
	operate := admin
	operate.Role = webhook.RoleOperate
	for name, tt := range map[string]struct {
		by     apikey.Holder
		asked  webhook.APIKey
		denied bool
	}{
		"the same": {admin, webhook.APIKey{OrganizationID: org, Rights: admin.Rights}, false},
		"less":     {admin, webhook.APIKey{OrganizationID: org}, false},
		"reveal": {admin, webhook.APIKey{OrganizationID: org,
			Rights: webhook.Rights{Reveal: true}}, true},
		"operator": {admin, webhook.APIKey{OrganizationID: org,
			Rights: webhook.Rights{Operator: true}}, true},
		"another organization":   {admin, webhook.APIKey{OrganizationID: "org_other"}, true},
		"of an operator":         {operator, webhook.APIKey{OrganizationID: "org_other"}, false},
		"reveal, of an operator": {operator, webhook.APIKey{Rights: webhook.Rights{Reveal: true}}, true},
		"without an end":         {brief, webhook.APIKey{OrganizationID: org}, true},
		"a later end": {brief, webhook.APIKey{OrganizationID: org,
			ExpiresAt: brief.ExpiresAt.Add(time.Second)}, true},
		"the same end":        {brief, webhook.APIKey{OrganizationID: org, ExpiresAt: brief.ExpiresAt}, false},
		"not an administer":   {operate, webhook.APIKey{OrganizationID: org}, true},
		"nothing for anybody": {apikey.Holder{}, webhook.APIKey{}, true},
	} {
		tt.asked.Name = name
		_, _, err := k.Create(t.Context(), tt.by, tt.asked)
		if tt.denied {
			require.ErrorIs(t, err, apikey.ErrRights, name)
		} else {
			require.NoError(t, err, name)
		}
	}
	_, created := create(t, k, webhook.APIKey{OrganizationID: org})
	for _, by := range []apikey.Holder{operate, {}, {OrganizationID: "org_other", Rights: admin.Rights}} {
		_, err := k.Revoke(t.Context(), by, org, created.ID)
		require.ErrorIs(t, err, apikey.ErrRights)
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t, apikey.Config{})
	for field, asked := range map[string]webhook.APIKey{
		"name":            {},
		"name ":           {Name: " x"},
		"name  ":          {Name: strings.Repeat("x", 201)},
		"name   ":         {Name: "a\nb"},
		"name    ":        {Name: "a\xff"},
		"role":            {Name: "x", Rights: webhook.Rights{Role: 3}},
		"role ":           {Name: "x", Rights: webhook.Rights{Role: -1}},
		"expires_at":      {Name: "x", ExpiresAt: time.Now()},
		"expires_at ":     {Name: "x", ExpiresAt: time.Now().AddDate(9000, 0, 0)},
		"organization_id": {Name: "x", OrganizationID: strings.Repeat("x", 201)},
	} {
		_, _, err := k.Create(t.Context(), apikey.Service(""), asked)
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid, field)
		assert.Equal(t, strings.TrimSpace(field), invalid.Problems[0].Field)
	}
	_, err := apikey.New(memstore.New(), apikey.Config{Prefix: "a b", MaxPerOrganization: -1})
	var invalid *event.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Len(t, invalid.Problems, 2)
	_, err = apikey.New(nil, apikey.Config{})
	require.Error(t, err)
	_, err = apikey.New(plain{memstore.New()}, apikey.Config{})
	require.ErrorIs(t, err, apikey.ErrUnsupported)
}

// plain is a store without capabilities.
type plain struct{ webhook.Store }

func (plain) Capabilities() webhook.Capabilities { return webhook.Capabilities{} }

func TestMaxPerOrganization(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t, apikey.Config{MaxPerOrganization: 2})
	_, first := create(t, k, webhook.APIKey{OrganizationID: org})
	create(t, k, webhook.APIKey{OrganizationID: org})
	asked := webhook.APIKey{OrganizationID: org, Name: "third"}
	_, _, err := k.Create(t.Context(), apikey.Service(""), asked)
	require.ErrorIs(t, err, webhook.ErrLimit)
	_, err = k.Revoke(t.Context(), apikey.Service(""), org, first.ID)
	require.NoError(t, err)
	_, _, err = k.Create(t.Context(), apikey.Service(""), asked)
	require.NoError(t, err, "one that was revoked makes room")
}

// strict is a store that refuses what PostgreSQL does.
type strict struct{ webhook.APIKeyStore }

func (strict) APIKeys(context.Context, webhook.APIKeyQuery) ([]webhook.APIKey, error) {
	return nil, errors.New("invalid byte sequence")
}

func (strict) RevokeAPIKey(
	context.Context, time.Time, string, string, string,
) (webhook.APIKey, error) {
	return webhook.APIKey{}, errors.New("invalid byte sequence")
}

func (s strict) Capabilities() webhook.Capabilities { return webhook.Capabilities{APIKeys: s} }

// Nothing has an id that a store cannot keep, and no store is asked for it.
func TestUnstorableIDs(t *testing.T) {
	t.Parallel()
	k, err := apikey.New(strict{memstore.New().Capabilities().APIKeys}, apikey.Config{})
	require.NoError(t, err)
	for _, id := range []string{"key_\x00", "key_\xff"} {
		found, err := k.List(t.Context(), webhook.APIKeyQuery{OrganizationID: id})
		require.NoError(t, err)
		assert.Empty(t, found)
		_, err = k.List(t.Context(), webhook.APIKeyQuery{After: webhook.APIKeyCursor{ID: id}})
		require.NoError(t, err)
		for _, of := range [][2]string{{org, id}, {id, "key_1"}} {
			_, err = k.Revoke(t.Context(), apikey.Service(""), of[0], of[1])
			require.ErrorIs(t, err, webhook.ErrNotFound)
		}
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	var told []apikey.Change
	k, _ := newKeys(t, apikey.Config{Audit: func(_ context.Context, c apikey.Change) {
		told = append(told, c)
	}})
	token, created := create(t, k, webhook.APIKey{OrganizationID: org})
	_, err := k.Revoke(t.Context(), apikey.Service("ops"), org, created.ID)
	require.NoError(t, err)
	_, err = k.Revoke(t.Context(), apikey.Holder{Name: "eve"}, org, created.ID)
	require.Error(t, err)
	_, _, err = k.Create(t.Context(), apikey.Holder{Name: "eve"}, webhook.APIKey{Name: "x"})
	require.Error(t, err)
	for _, by := range []apikey.Holder{apikey.Service("ops"), {Name: "eve"}} { // who gives the API key itself
		_, err = k.Revoke(t.Context(), by, org, token)
		require.Error(t, err)
		require.NotContains(t, fmt.Sprint(told[len(told)-1]), token)
	}
	told = told[:len(told)-2]
	require.Len(t, told, 4)
	assert.Equal(t, apikey.Change{Action: "create", Key: created, By: "setup"}, told[0])
	assert.Equal(t, "revoke ops "+created.ID, told[1].Action+" "+told[1].By+" "+told[1].Key.ID)
	assert.Equal(t, "revoke eve "+created.ID, told[2].Action+" "+told[2].By+" "+told[2].Key.ID)
	require.ErrorIs(t, told[2].Err, apikey.ErrRights)
	assert.Equal(t, "create eve x", told[3].Action+" "+told[3].By+" "+told[3].Key.Name)
	require.ErrorIs(t, told[3].Err, apikey.ErrRights)
}

// The last use is written once a minute, and no request waits for that.
func TestLastUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, s := newKeys(t, apikey.Config{})
		key, created := create(t, k, webhook.APIKey{OrganizationID: org})
		use := func() {
			t.Helper()
			_, err := k.Authenticate(t.Context(), key)
			require.NoError(t, err)
		}
		last := func() time.Time {
			t.Helper()
			k.Wait()
			listed, err := k.List(t.Context(), webhook.APIKeyQuery{OrganizationID: org})
			require.NoError(t, err)
			return listed[0].LastUsedAt
		}
		require.True(t, last().IsZero())
		for range 100 {
			use()
		}
		assert.Equal(t, created.CreatedAt, last())
		assert.EqualValues(t, 1, s.writes.Load())
		time.Sleep(apikey.UsePrecision - 1)
		use()
		assert.Equal(t, created.CreatedAt, last())
		time.Sleep(time.Nanosecond)
		use()
		assert.Equal(t, created.CreatedAt.Add(time.Minute), last())
		assert.EqualValues(t, 2, s.writes.Load())
		other, err := apikey.New(s, apikey.Config{})
		require.NoError(t, err)
		_, err = other.Authenticate(t.Context(), key)
		require.NoError(t, err)
		other.Wait()
		assert.EqualValues(t, 2, s.writes.Load(), "another process sees that it is written")
	})
}

// A store that is down is not an API key that is wrong.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	k, s := newKeys(t, apikey.Config{})
	key, _ := create(t, k, webhook.APIKey{})
	s.failure = webhook.Unavailable("down")
	for range 2 {
		_, err := k.Authenticate(t.Context(), key)
		require.ErrorIs(t, err, webhook.ErrUnavailable)
		require.NotErrorIs(t, err, apikey.ErrUnknown)
	}
	s.failure = nil
	_, err := k.Authenticate(t.Context(), key)
	require.NoError(t, err)
	k.Wait()
}

// Guesses take a few lookups at a time, and keys that work do not wait for them.
func TestGuesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, s := newKeys(t, apikey.Config{})
		elsewhere, _ := newKeys(t, apikey.Config{})
		key, _ := create(t, k, webhook.APIKey{})
		_, err := k.Authenticate(t.Context(), key)
		require.NoError(t, err)
		k.Wait()
		gate := make(chan struct{})
		s.gate = gate
		const guesses = 100
		errs := make(chan error, guesses)
		var running sync.WaitGroup
		for n := range guesses {
			guess, _ := create(t, elsewhere, webhook.APIKey{OrganizationID: strconv.Itoa(n)})
			running.Go(func() {
				_, err := k.Authenticate(t.Context(), guess)
				errs <- err
			})
		}
		time.Sleep(2 * time.Second)
		assert.Len(t, errs, guesses-apikey.MaxGuesses, "the others are refused after a second")
		assert.EqualValues(t, 1+apikey.MaxGuesses, s.lookups.Load(),
			"some guesses are looked up at a time")
		works := make(chan error, 1)
		go func() {
			_, err := k.Authenticate(t.Context(), key)
			works <- err
		}()
		synctest.Wait()
		assert.EqualValues(t, 2+apikey.MaxGuesses, s.lookups.Load(), "a key that works does not wait")
		close(gate)
		require.NoError(t, <-works)
		running.Wait()
		k.Wait()
		busy, unknown := 0, 0
		for range guesses {
			switch err := <-errs; {
			case errors.Is(err, apikey.ErrBusy) && errors.Is(err, webhook.ErrUnavailable):
				busy++
			case errors.Is(err, apikey.ErrUnknown):
				unknown++
			}
		}
		assert.Equal(t, [2]int{guesses - apikey.MaxGuesses, apikey.MaxGuesses}, [2]int{busy, unknown})
	})
}

// An organization that makes, uses and revokes keys without end had those of all others forgotten, and
// with guesses beside them, these were refused.
func TestKeysWithoutEndLeaveOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 15,000 keys; TestSeenKeysAreBounded has less to do")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, s := newKeys(t, apikey.Config{MaxPerOrganization: 5})
		elsewhere, err := apikey.New(s, apikey.Config{MaxPerOrganization: 5})
		require.NoError(t, err)
		var others []string
		for i := range 20 {
			key, _ := create(t, k, webhook.APIKey{OrganizationID: strconv.Itoa(i)})
			_, err := k.Authenticate(t.Context(), key)
			require.NoError(t, err)
			others = append(others, key)
		}
		for i := range 15_000 {
			key, created := create(t, k, webhook.APIKey{OrganizationID: org})
			_, err := k.Authenticate(t.Context(), key)
			require.NoError(t, err)
			revoker := k
			if i%2 == 0 {
				revoker = elsewhere // this process is not told
			}
			_, err = revoker.Revoke(t.Context(), apikey.Service("test"), org, created.ID)
			require.NoError(t, err)
		}
		k.Wait()

		s.gate = make(chan struct{})
		guess, _ := create(t, elsewhere, webhook.APIKey{OrganizationID: "guesser"})
		var running sync.WaitGroup
		for range apikey.MaxGuesses {
			running.Go(func() { _, _ = k.Authenticate(t.Context(), guess) })
		}
		synctest.Wait()
		before := s.lookups.Load()
		for _, key := range others {
			running.Go(func() { _, _ = k.Authenticate(t.Context(), key) })
		}
		synctest.Wait()
		assert.EqualValues(t, len(others), s.lookups.Load()-before, "keys that work do not wait for guesses")
		close(s.gate)
		running.Wait()
		k.Wait()
	})
}

func FuzzAuthenticate(f *testing.F) {
	k, s := newKeys(f, apikey.Config{})
	key, created := create(f, k, webhook.APIKey{})
	for _, seed := range []string{"", "sk_", key, key[:20], strings.ToUpper(key), key + "\x00",
		"sk_" + strings.Repeat("0", 72), "sk_" + strings.Repeat("é", 36)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before := s.lookups.Load()
		found, err := k.Authenticate(t.Context(), text)
		k.Wait()
		switch {
		case text == key:
			require.NoError(t, err)
			require.Equal(t, created.ID, found.ID)
		case errors.Is(err, apikey.ErrMalformed):
			require.Equal(t, before, s.lookups.Load())
			if len(text) > len("sk_")+8 {
				require.NotContains(t, err.Error(), text[3:], "an error shows no part of it")
			}
		default:
			require.ErrorIs(t, err, apikey.ErrUnknown)
			require.Len(t, text, 75)
		}
	})
}

func ExampleKeys() {
	keys, err := apikey.New(memstore.New(), apikey.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	key, info, err := keys.Create(ctx, apikey.Service("setup"), webhook.APIKey{
		OrganizationID: "org_acme", Name: "billing", Rights: webhook.Rights{Role: webhook.RoleOperate},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key[:3], len(key)) // show all of it to the customer, once

	found, err := keys.Authenticate(ctx, key)
	fmt.Println(found.OrganizationID, found.Name, found.Role, err)
	_, err = keys.Authenticate(ctx, key[:50])
	fmt.Println(err)
	_, err = keys.Revoke(ctx, apikey.Service("ann"), "org_acme", info.ID)
	fmt.Println(err)
	_, err = keys.Authenticate(ctx, key)
	fmt.Println(err)
	// Output:
	// sk_ 75
	// org_acme billing operate <nil>
	// apikey: this is no API key: it has 50 characters, and not 75
	// <nil>
	// apikey: the API key was revoked
}
