package api_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

func TestUnauthenticated(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer nope", "Basic " + f.keys[orgA], f.keys[orgA]} {
		a := f.do("GET", prefix, "", "Authorization", header)
		assert.Equal(t, "UnauthorizedError", a.errorType(http.StatusUnauthorized), header)
		assert.Equal(t, "Bearer", a.Header.Get("WWW-Authenticate"))
	}
}

func TestAuthenticatorErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for err, status := range map[error]int{
		fmt.Errorf("no: %w", api.ErrUnauthenticated): http.StatusUnauthorized,
		fmt.Errorf("no: %w", api.ErrForbidden):       http.StatusForbidden,
		errors.New("ldap is down"):                   http.StatusInternalServerError,
	} {
		a, newErr := api.New(f.dispatcher, func(*http.Request) (string, error) { return orgA, err }, api.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, newErr)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, mustRequest(t, "GET", prefix))
		assert.Equal(t, status, w.Code)
		assert.NotContains(t, w.Body.String(), "ldap")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	keys := api.NewKeys()
	ask := func(header ...string) (string, error) {
		r := mustRequest(t, "GET", "/")
		r.Header["Authorization"] = header
		return keys.Authenticate(r)
	}
	key1, hash1 := api.NewKey()
	key2, hash2 := api.NewKey()
	require.Equal(t, hash1, api.HashKey(key1))
	require.NoError(t, keys.Add(orgA, hash1))
	require.NoError(t, keys.Add(orgA, hash2))
	require.NoError(t, keys.Add(orgA, hash2))
	require.Error(t, keys.Add(orgB, hash2), "one key, one organization")
	require.Error(t, keys.Add(orgB, key2), "the key is not its hash")

	for _, header := range []string{"Bearer " + key1, "bearer " + key2, "Bearer  " + key1} {
		organization, err := ask(header)
		require.NoError(t, err)
		assert.Equal(t, orgA, organization)
	}
	keys.Remove(hash1)
	for _, headers := range [][]string{{"Bearer " + key1}, {"Bearer " + hash2}, {"Bearer " + key2, "Bearer " + key2}, nil} {
		_, err := ask(headers...)
		require.ErrorIs(t, err, api.ErrUnauthenticated)
	}
}
