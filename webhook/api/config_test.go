package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook/api"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	anyone := func(*http.Request) (string, error) { return "", nil }
	_, err := api.New(f.dispatcher, anyone, api.Config{})
	require.NoError(t, err)
	_, err = api.New(nil, anyone, api.Config{})
	require.Error(t, err)
	_, err = api.New(f.dispatcher, nil, api.Config{})
	require.Error(t, err)
	for _, prefix := range []string{"x", "/", "/x/", "/{x}", "/a b", "/a?b"} {
		_, err = api.New(f.dispatcher, anyone, api.Config{Prefix: prefix, MaxBody: -1, MaxRequests: -1, MaxRequestsPerOrganization: -1, IdempotentPerMinute: -1})
		var invalid *event.ValidationError
		require.ErrorAs(t, err, &invalid, prefix)
		assert.Len(t, invalid.Problems, 5)
	}
	_, err = api.New(f.dispatcher, anyone, api.Config{MaxRequests: 5, MaxRequestsPerOrganization: 6})
	require.ErrorContains(t, err, "MaxRequestsPerOrganization")
}
