package postgres_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/postgres"
)

// Two APIs with stores, and so connections, of their own share API keys: one that the first creates
// opens the second, and is refused there by the request after its revocation.
func TestAPIKeysOfTwoProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	ctx, dsn := t.Context(), schemaDSN(t)
	var apis [2]*api.API
	var keys [2]*apikey.Keys
	var stores [2]*postgres.Store
	for i := range apis {
		var err error
		stores[i], err = postgres.Open(ctx, dsn, postgres.Config{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = stores[i].Close() })
		d, err := dispatch.New(stores[i], dispatch.Config{})
		require.NoError(t, err)
		keys[i], err = apikey.New(d, apikey.Config{})
		require.NoError(t, err)
		t.Cleanup(keys[i].Wait)
		apis[i], err = api.New(d, nil, api.Config{APIKeys: keys[i]})
		require.NoError(t, err)
	}
	status := func(process int, token string) int {
		r := httptest.NewRequest(http.MethodGet, api.DefaultPrefix, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		apis[process].ServeHTTP(w, r)
		return w.Code
	}
	admin, _, err := keys[0].Create(ctx, apikey.Service("setup"), webhook.APIKey{
		OrganizationID: "org", Name: "admin", Rights: webhook.Rights{Role: webhook.RoleAdminister}})
	require.NoError(t, err)
	server := httptest.NewServer(apis[1])
	t.Cleanup(server.Close)
	c, err := client.New(server.URL+api.DefaultPrefix, admin, client.Config{})
	require.NoError(t, err)
	for range 5 {
		made, err := c.CreateAPIKey(ctx, api.APIKeyRequest{Name: "read"})
		require.NoError(t, err)
		for process := range apis {
			require.Equal(t, http.StatusOK, status(process, made.Key))
		}
		_, err = keys[0].Revoke(ctx, apikey.Service("ops"), "org", made.ID)
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, status(1, made.Key),
			"the next request in the other process is refused")
	}
	keys[0].Wait()
	require.NoError(t, stores[0].Close())
	require.NotEqual(t, http.StatusUnauthorized, status(0, admin),
		"a store that does not answer is not an API key that does not work")
}
