package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// bearing returns the header of a request with a new API key.
func (f *fixture) bearing(key webhook.APIKey) []string {
	f.t.Helper()
	if key.Name == "" {
		key.Name = "test"
	}
	token, _, err := f.apiKeys.Create(f.t.Context(), apikey.Service("setup"), key)
	require.NoError(f.t, err)
	return []string{"Authorization", "Bearer " + token}
}

// Each role may do what is its, and nothing else.
func TestRoles(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(secretSubscription)
	for _, tt := range []struct {
		need               webhook.Role
		method, path, body string
	}{
		{webhook.RoleRead, "GET", "", ""},
		{webhook.RoleRead, "POST", "/list", "{}"},
		{webhook.RoleRead, "POST", "/preview", `{"template": ""}`},
		{webhook.RoleRead, "GET", "/deliveries", ""},
		{webhook.RoleRead, "GET", "/events", ""},
		{webhook.RoleOperate, "POST", "/" + id + "/replay", ""},
		{webhook.RoleOperate, "PATCH", "/" + id, `{"is_active": false}`},
		{webhook.RoleOperate, "POST", "/" + id + "/endpoints/disable", ""},
		{webhook.RoleOperate, "PUT", "/" + id + "/positions/a", `{"position": "pos_0000000000000000"}`},
		{webhook.RoleAdminister, "PATCH", "/" + id, `{"is_active": true, "webhook_name": "x"}`},
		{webhook.RoleAdminister, "PUT", "/" + id, secretSubscription},
		{webhook.RoleAdminister, "POST", "", plainSubscription},
		{webhook.RoleAdminister, "POST", "/" + id + "/signing-secret/rotate", ""},
		{webhook.RoleAdminister, "GET", "/api-keys", ""},
		{webhook.RoleAdminister, "POST", "/api-keys", `{"name": "x"}`},
		{webhook.RoleAdminister, "DELETE", "/" + id, ""},
	} {
		for role := webhook.RoleRead; role <= webhook.RoleAdminister; role++ {
			as := f.bearing(webhook.APIKey{OrganizationID: orgA, Rights: webhook.Rights{Role: role}})
			got := f.do(tt.method, prefix+tt.path, tt.body, as...)
			what := tt.method + " " + tt.path + " as " + role.String()
			if role >= tt.need {
				require.Equal(t, 2, got.Status/100, "%s: %s", what, got.Body)
			} else {
				require.Equal(t, http.StatusForbidden, got.Status, what)
				require.Contains(t, string(got.Body), "This needs the role ", what)
			}
		}
	}
}

// To see a secret is a right of its own.
func TestRevealRight(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	id := f.create(secretSubscription)
	for _, may := range []bool{false, true} {
		as := f.bearing(webhook.APIKey{OrganizationID: orgA,
			Rights: webhook.Rights{Role: webhook.RoleAdminister, Reveal: may}})
		got := f.do("GET", prefix+"/"+id+"?reveal=channels.0.configs.signing_secret", "", as...)
		rotated := f.do("POST", prefix+"/"+id+"/signing-secret/rotate", "", as...)
		rotated.want(http.StatusOK)
		if may {
			assert.NotContains(t, string(rotated.Body), api.Mask)
			assert.NotEqual(t, http.StatusForbidden, got.Status)
		} else {
			assert.Contains(t, string(rotated.Body), `"signing_secret":"`+api.Mask)
			assert.Equal(t, http.StatusForbidden, got.Status)
		}
	}
}

// What is wrong with an API key is said, and is a 401; a store that is down is a 503.
func TestRefusedAPIKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	key, info, err := f.apiKeys.Create(t.Context(), apikey.Service(""),
		webhook.APIKey{OrganizationID: orgA, Name: "x"})
	require.NoError(t, err)
	strangers, err := apikey.New(memstore.New(), apikey.Config{})
	require.NoError(t, err)
	unknown, _, err := strangers.Create(t.Context(), apikey.Service(""), webhook.APIKey{Name: "x"})
	require.NoError(t, err)
	want := func(token, message string) {
		t.Helper()
		a := f.do("GET", prefix, "", "Authorization", "Bearer "+token)
		require.Equal(t, "UnauthorizedError", a.errorType(http.StatusUnauthorized))
		require.Equal(t, "Bearer", a.Header.Get("WWW-Authenticate"))
		require.Contains(t, string(a.Body), message)
		require.NotContains(t, string(a.Body), token[10:30])
	}
	want(key[:40], "typo")
	want(unknown, "A valid API key is needed")
	f.do("GET", prefix+"/totals", "", "Authorization", "bearer "+key).want(http.StatusOK)
	_, err = f.apiKeys.Revoke(t.Context(), apikey.Service(""), orgA, info.ID)
	require.NoError(t, err)
	want(key, "revoked")

	down, err := apikey.New(downKeys{f.store}, apikey.Config{Logger: f.logger})
	require.NoError(t, err)
	a, err := api.New(f.dispatcher, nil, api.Config{Logger: f.logger, APIKeys: down})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodGet, prefix, nil)
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "5", w.Header().Get("Retry-After"))
	_, err = api.New(f.dispatcher, nil, api.Config{})
	require.Error(t, err, "without an authenticator and API keys nothing opens it")
}

// downKeys is a store that cannot be read.
type downKeys struct{ *memstore.Store }

func (s downKeys) Capabilities() webhook.Capabilities {
	return webhook.Capabilities{APIKeys: unreadableKeys{s.Store}}
}

type unreadableKeys struct{ webhook.APIKeyStore }

func (unreadableKeys) APIKey(
	ctx context.Context, _ webhook.APIKeyHash,
) (webhook.APIKey, error) {
	return webhook.APIKey{}, webhook.Unavailable("down")
}

// Only an operator's API key acts for other organizations.
func TestOperatorsAPIKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	admin := webhook.Rights{Role: webhook.RoleAdminister}
	customer := f.bearing(webhook.APIKey{OrganizationID: orgA, Rights: admin})
	admin.Operator = true
	operator := f.bearing(webhook.APIKey{Name: "ops", Rights: admin})
	forB := []string{api.HeaderOrganization, orgB}
	f.do("GET", prefix, "", append(customer, forB...)...).want(http.StatusForbidden)
	f.do("POST", prefix+"/api-keys", `{"name": "x", "operator": true}`, customer...).want(
		http.StatusForbidden)
	f.do("POST", prefix+"/api-keys", `{"name": "x", "reveal": true}`, operator...).want(
		http.StatusForbidden)
	f.do("POST", prefix+"/api-keys", `{"name": "theirs"}`, append(operator, forB...)...).want(
		http.StatusCreated)
	listed := f.do("GET", prefix+"/api-keys", "", f.as(orgB)...)
	listed.want(http.StatusOK)
	assert.Contains(t, string(listed.Body), `"name":"theirs"`)
	assert.Regexp(t, `"created_by":"key_[0-9a-f]{16} ops"`, string(listed.Body))
	f.do("GET", prefix+"/totals", "", append(customer, api.HeaderOrganization, orgA)...).want(http.StatusOK)

	// The same for the API keys of the Authenticator, of which none is an operator's.
	refused := f.do("GET", prefix+"/totals", "", forB...)
	refused.want(http.StatusForbidden)
	assert.Contains(t, string(refused.Body), "acts for its own organization only")
	f.do("GET", prefix+"/totals", "", api.HeaderOrganization, orgA).want(http.StatusOK)
}

// A customer lists, creates and revokes API keys with the client.
func TestAPIKeysThroughClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	ctx, server := t.Context(), httptest.NewServer(f.api)
	t.Cleanup(server.Close)
	c := f.client(orgA)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for range 150 { // more than an organization may have
		made, err := c.CreateAPIKey(ctx, api.APIKeyRequest{Name: "many"})
		if err != nil {
			require.ErrorIs(t, err, webhook.ErrLimit)
			break
		}
		_ = made
	}
	n, last := 0, (*webhook.APIKey)(nil)
	for key, err := range c.APIKeys(ctx) {
		require.NoError(t, err)
		n, last = n+1, key
	}
	require.Equal(t, apikey.DefaultMax, n)
	_, err := c.RevokeAPIKey(ctx, last.ID)
	require.NoError(t, err)
	made, err := c.CreateAPIKey(ctx, api.APIKeyRequest{Name: "one", ExpiresAt: expires,
		Rights: webhook.Rights{Role: webhook.RoleOperate}})
	require.NoError(t, err)
	assert.Equal(t, expires, made.ExpiresAt)
	assert.Equal(t, webhook.RoleOperate, made.Role)
	assert.True(t, strings.HasPrefix(made.Key, "sk_"))
	mine, err := client.New(server.URL+prefix, made.Key, client.Config{})
	require.NoError(t, err)
	_, err = mine.CreateAPIKey(ctx, api.APIKeyRequest{Name: "x"})
	require.ErrorIs(t, err, api.ErrForbidden)
	for _, err := range mine.Search(ctx, client.SubscriptionFilter{}) {
		require.NoError(t, err)
	}
	revoked, err := c.RevokeAPIKey(ctx, made.ID)
	require.NoError(t, err)
	assert.Equal(t, "api", revoked.RevokedBy)
	for _, err := range mine.Search(ctx, client.SubscriptionFilter{}) {
		require.ErrorIs(t, err, api.ErrUnauthenticated)
	}
	_, err = c.RevokeAPIKey(ctx, "key_0000000000000000")
	require.ErrorIs(t, err, webhook.ErrNotFound)
	theirs, err := f.client(orgB).CreateAPIKey(ctx, api.APIKeyRequest{Name: "theirs"})
	require.NoError(t, err)
	_, err = c.RevokeAPIKey(ctx, theirs.ID)
	require.ErrorIs(t, err, webhook.ErrNotFound, "it is another organization's")
}
