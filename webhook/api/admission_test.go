package api_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/api"
)

// Clients that send their bodies slowly, or do not read their answers, keep no other
// organization out, however many they are and whichever organizations they are of.
func TestSlowClientsKeepNoOrganizationOut(t *testing.T) {
	t.Parallel()
	slowBody := "POST " + prefix + "/preview HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" +
		"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
	unread := "GET " + prefix + "/openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
	list := "GET " + prefix + "/event-types HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
	for name, tt := range map[string]struct {
		ask                     string
		organizations, requests int
	}{
		"bodies of a few":     {slowBody, 4, 16},
		"bodies of many":      {slowBody, 80, 1},
		"bodies of many more": {slowBody, 20, 16},
		"answers of many":     {list, 80, 1},
		"without places":      {unread, 80, 16},
		"without a key":       {"POST " + prefix + " HTTP/1.1\r\nHost: x\r\nX: %s\r\nContent-Length: 100\r\n\r\n{", 80, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, options{})
				a, err := api.New(f.dispatcher, api.BearerToken, api.Config{Logger: f.logger})
				require.NoError(t, err)
				listener := make(connections)
				server := &http.Server{Handler: a} //nolint:gosec // no other client than this test's
				go func() { _ = server.Serve(listener) }()
				var clients []net.Conn
				for n := range tt.organizations {
					for range tt.requests {
						ours, theirs := net.Pipe()
						listener <- theirs
						_, err := fmt.Fprintf(ours, tt.ask, fmt.Sprint("slow", n))
						require.NoError(t, err)
						clients = append(clients, ours)
						synctest.Wait()
					}
				}
				time.Sleep(time.Second)
				began := time.Now()
				r := httptest.NewRequest(http.MethodGet, prefix, nil)
				r.Header.Set("Authorization", "Bearer another")
				w := httptest.NewRecorder()
				a.ServeHTTP(w, r)
				assert.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
				assert.Zero(t, time.Since(began))
				for _, c := range clients {
					require.NoError(t, c.Close())
				}
				close(listener)
				require.NoError(t, server.Close())
				synctest.Wait()
			})
		})
	}
}

// A request that lost its place because its body did not come is told so.
func TestSlowBodyLosesItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, options{api: func(c *api.Config) { c.MaxRequests = 1 }})
		listener := make(connections, 1)
		server := &http.Server{Handler: f.api} //nolint:gosec // no other client than this test's
		go func() { _ = server.Serve(listener) }()
		ours, theirs := net.Pipe()
		listener <- theirs
		_, err := io.WriteString(ours, "POST "+prefix+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+f.keys[orgA]+
			"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
		require.NoError(t, err)
		synctest.Wait()
		list := func() int { return f.do("GET", prefix, "", f.as(orgB)...).Status }
		assert.Equal(t, http.StatusServiceUnavailable, list(), "a body has a second to arrive")
		time.Sleep(time.Second)
		assert.Equal(t, http.StatusOK, list())
		answer, err := io.ReadAll(io.LimitReader(ours, 12))
		require.NoError(t, err)
		assert.Equal(t, "HTTP/1.1 503", string(answer))
		assert.Equal(t, http.StatusOK, list())
		require.NoError(t, ours.Close())
		close(listener)
		require.NoError(t, server.Close())
		synctest.Wait()
	})
}
