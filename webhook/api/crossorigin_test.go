package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

// A session in a cookie opens the API to the service's own pages, and not to pages of others.
func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	a, err := api.New(f.dispatcher, func(r *http.Request) (string, error) {
		_, err := r.Cookie("session")
		if err != nil && r.Header.Get("Authorization") == "" {
			return "", api.ErrUnauthenticated
		}
		return orgA, nil
	}, api.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	do := func(method, body string, header ...string) int {
		r := httptest.NewRequest(method, prefix, strings.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w.Code
	}
	const foreign = "https://evil.example"
	for name, header := range map[string][]string{
		"site":   {"Cookie", "session=1", "Sec-Fetch-Site", "cross-site"},
		"domain": {"Cookie", "session=1", "Sec-Fetch-Site", "same-site"},
		"origin": {"Cookie", "session=1", "Origin", foreign},
	} {
		assert.Equal(t, http.StatusForbidden, do("POST", plainSubscription, header...), name)
		assert.Equal(t, http.StatusOK, do("GET", "", header...), name)
	}
	for name, header := range map[string][]string{
		"own page":     {"Cookie", "session=1", "Sec-Fetch-Site", "same-origin"},
		"program":      {"Cookie", "session=1"},
		"with a token": {"Authorization", "Bearer x", "Sec-Fetch-Site", "cross-site", "Origin", foreign},
	} {
		assert.Equal(t, http.StatusCreated, do("POST", plainSubscription, header...), name)
	}
}
