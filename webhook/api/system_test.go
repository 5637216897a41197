package api_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
)

// diagnosed is a store that says how it is.
type diagnosed struct {
	webhook.Store
	diagnosis *webhook.Diagnosis
}

func (s diagnosed) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Diagnostics = s
	return c
}

func (s diagnosed) Diagnose(context.Context, time.Time) (webhook.Diagnosis, error) {
	return *s.diagnosis, nil
}

func (f *fixture) clientWith(key string, cfg client.Config) *client.Client {
	f.t.Helper()
	cfg.HTTPClient = &http.Client{Transport: handlerTransport{f.api}}
	c, err := client.New("http://api.test"+prefix, key, cfg)
	require.NoError(f.t, err)
	return c
}

// Customers learn what their API key may do, and nothing of the service, whatever their role.
func TestAboutForCustomers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{store: func(s webhook.Store) webhook.Store {
		return diagnosed{s, &webhook.Diagnosis{Kind: "s3cr3t"}}
	}})
	ctx := t.Context()
	about, err := f.client(orgA).About(ctx)
	require.NoError(t, err)
	assert.Equal(t, &api.About{OrganizationID: orgA, Name: "api",
		Rights: webhook.Rights{Role: webhook.RoleAdminister, Reveal: true}}, about)

	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for role := webhook.RoleRead; role <= webhook.RoleAdminister; role++ {
		key, made, err := f.apiKeys.Create(ctx, apikey.Service(""), webhook.APIKey{OrganizationID: orgA,
			Name: "ada", Rights: webhook.Rights{Role: role, Reveal: true}, ExpiresAt: expires})
		require.NoError(t, err)
		about, err := f.clientWith(key, client.Config{}).About(ctx)
		require.NoError(t, err)
		assert.Equal(t, &api.About{OrganizationID: orgA, Name: made.ID + " ada",
			Rights: webhook.Rights{Role: role, Reveal: true}, ExpiresAt: expires}, about)
		body := f.do("GET", prefix+"/about", "", "Authorization", "Bearer "+key)
		assert.NotContains(t, body.want(http.StatusOK), "system")
		f.do("GET", prefix+"/about", "", "Authorization", "Bearer "+key, api.HeaderOrganization,
			orgB).want(http.StatusForbidden)
	}
	f.do("GET", prefix+"/about", "", "Authorization", "").want(http.StatusUnauthorized)
}

// An operator's API key shows how the service is, also one that may only look.
func TestAboutForOperators(t *testing.T) {
	t.Parallel()
	at := time.Now().UTC().Truncate(time.Second)
	stored := webhook.Diagnosis{Kind: "postgres", SchemaVersion: 4, NeededVersion: 6, LastResult: at,
		Transactions: &webhook.LongTransactions{More: true, Hidden: 3, Oldest: []webhook.LongTransaction{
			{PID: 7, Application: "report", State: "active", Since: at}}}}
	f := newFixture(t, options{store: func(s webhook.Store) webhook.Store {
		return diagnosed{s, &stored}
	}})
	ctx := t.Context()
	for _, organization := range []string{orgA, orgB} {
		_, err := f.client(organization).Create(ctx, sinkSubscription("w", `{}`))
		require.NoError(t, err)
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace, e.OrganizationID = "acme", organization
		_, err = f.dispatcher.Emit(ctx, e)
		require.NoError(t, err)
	}
	key, _, err := f.apiKeys.Create(ctx, apikey.Service(""), webhook.APIKey{OrganizationID: orgA,
		Name: "ops", Rights: webhook.Rights{Operator: true}})
	require.NoError(t, err)
	about, err := f.clientWith(key, client.Config{Organization: orgB}).About(ctx)
	require.NoError(t, err)
	assert.Equal(t, orgB, about.OrganizationID)
	assert.Equal(t, webhook.Rights{Operator: true}, about.Rights)
	require.NotNil(t, about.System)
	system := about.System
	assert.Equal(t, &api.StoreState{Kind: "postgres", SchemaVersion: 4, NeededVersion: 6,
		PendingMigrations: []int{5, 6}, LastResult: &at, Transactions: &api.LongTransactions{More: true,
			Hidden: 3, Oldest: []api.LongTransaction{{PID: 7, Application: "report", State: "active",
				Since: at}}}}, system.Store)
	assert.Equal(t, api.ProcessState{ID: system.Process.ID, Name: system.Process.Name}, system.Process)
	assert.NotEmpty(t, system.Version)
	assert.WithinRange(t, system.Now, at, at.Add(time.Minute))
	require.NotNil(t, system.OldestDue)
	assert.EqualValues(t, 2, system.Deliveries[webhook.StatusPending], "of all organizations")

	stored = webhook.Diagnosis{Kind: "sqlite", SchemaVersion: 7, NeededVersion: 6}
	about, err = f.clientWith(key, client.Config{}).About(ctx)
	require.NoError(t, err)
	assert.Equal(t, &api.StoreState{Kind: "sqlite", SchemaVersion: 7, NeededVersion: 6,
		PendingMigrations: []int{}}, about.System.Store)

	bare := newFixture(t, options{})
	key, _, err = bare.apiKeys.Create(ctx, apikey.Service(""), webhook.APIKey{Name: "ops",
		Rights: webhook.Rights{Operator: true}})
	require.NoError(t, err)
	about, err = bare.clientWith(key, client.Config{}).About(ctx)
	require.NoError(t, err)
	require.NotNil(t, about.System)
	assert.Nil(t, about.System.Store, "the store cannot tell")
}

// An operator's API key shows all processes that deliver, and those that were killed.
func TestAboutProcesses(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	ctx := t.Context()
	key, _, err := f.apiKeys.Create(ctx, apikey.Service(""), webhook.APIKey{Name: "ops",
		Rights: webhook.Rights{Operator: true}})
	require.NoError(t, err)
	list := func(c *client.Client) []api.Process {
		t.Helper()
		about, err := c.About(ctx)
		require.NoError(t, err)
		require.NotNil(t, about.System)
		return about.System.Processes
	}
	c := f.clientWith(key, client.Config{})
	assert.Equal(t, []api.Process{}, list(c))
	now := time.Now().UTC().Truncate(time.Microsecond)
	store := f.dispatcher.Capabilities().Processes
	said := webhook.Process{ID: "1", Name: "web-1", Version: "v1.2.3", StartedAt: now.Add(-time.Hour),
		Stopping: true, InFlight: 1, Queued: 2, Leased: 3, Workers: 4, TrippedBreakers: 5, RateLimited: 6,
		LastClaim: now.Add(-time.Second), StoreTime: 1500 * time.Microsecond}
	alive := now.Add(time.Hour) // by a clock that is ahead
	require.NoError(t, store.PutProcess(ctx, alive, said))
	require.NoError(t, store.PutProcess(ctx, now.Add(-2*time.Minute), webhook.Process{ID: "2",
		Name: "web-2", StartedAt: now.Add(-time.Hour)}))
	assert.Equal(t, []api.Process{
		{ID: "1", Name: "web-1", Version: "v1.2.3", StartedAt: said.StartedAt, Heartbeat: alive,
			Stopping: true, InFlight: 1, Queued: 2, Leased: 3, Workers: 4, TrippedBreakers: 5,
			RateLimited: 6, LastClaim: &said.LastClaim, StoreMS: 1.5},
		{ID: "2", Name: "web-2", StartedAt: said.StartedAt, Heartbeat: now.Add(-2 * time.Minute),
			Lost: true},
	}, list(c))

	bare := newFixture(t, options{store: func(s webhook.Store) webhook.Store { return withoutProcesses{s} }})
	key, _, err = bare.apiKeys.Create(ctx, apikey.Service(""), webhook.APIKey{Name: "ops",
		Rights: webhook.Rights{Operator: true}})
	require.NoError(t, err)
	assert.Nil(t, list(bare.clientWith(key, client.Config{})), "the store does not keep them")
}

// withoutProcesses is a store that does not keep which processes deliver.
type withoutProcesses struct{ webhook.Store }

func (s withoutProcesses) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Processes = nil
	return c
}
