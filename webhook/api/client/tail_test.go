package client_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

// answers is an http.RoundTripper without a network, whose answers are made in virtual time.
type answers func(*http.Request) *http.Response

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) {
	res := f(r)
	res.Request = r
	return res, nil
}

func answerOf(status int, body io.Reader, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(body)}
}

// hanging is an http.RoundTripper that never answers.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A service that accepts the connection and says nothing is given up, and the error says so.
func TestTailOfAServiceThatSaysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := client.New("https://example.com", "", client.Config{
			HTTPClient: &http.Client{Transport: hanging{}}})
		require.NoError(t, err)
		began, n := time.Now(), 0
		for _, err := range c.Tail(t.Context(), "", client.TailQuery{}) {
			n++
			var network *url.Error
			require.ErrorAs(t, err, &network)
			require.ErrorContains(t, err, "nothing has come for 45s")
			require.NotErrorIs(t, err, context.Canceled, "nobody has cancelled it")
		}
		assert.Equal(t, 1, n)
		assert.Equal(t, 45*time.Second, time.Since(began))
	})
}

// A service, or a proxy in front of it, may ask for a longer wait than Tail promises.
func TestTailWaitsForHalfAMinuteAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Time
		c, err := client.New("https://example.com", "", client.Config{HTTPClient: &http.Client{
			Transport: answers(func(*http.Request) *http.Response {
				switch asked = append(asked, time.Now()); len(asked) {
				case 1:
					return answerOf(http.StatusServiceUnavailable, http.NoBody, "Retry-After", "31536000")
				case 2:
					return answerOf(http.StatusServiceUnavailable, http.NoBody, "Retry-After", "20")
				}
				return answerOf(http.StatusOK, strings.NewReader("id: pos_1\ndata: {}\n\n"), "Content-Type",
					"text/event-stream")
			}),
		}})
		require.NoError(t, err)
		for _, err := range c.Tail(t.Context(), "", client.TailQuery{}) {
			require.NoError(t, err)
			break
		}
		require.Len(t, asked, 3)
		assert.Equal(t, 30*time.Second, asked[1].Sub(asked[0]))
		assert.Equal(t, 20*time.Second, asked[2].Sub(asked[1]))
	})
}
