package channelkit_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The first middleware is the outermost, and what it adds to a request is sent.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	var got []string
	base := channelfixture.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header["X-Passed"]
		w.WriteHeader(http.StatusAccepted)
	})
	pass := func(name string) func(http.RoundTripper) http.RoundTripper {
		return func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.Header.Add("X-Passed", name)
				return next.RoundTrip(r)
			})
		}
	}
	client := channelfixture.NewClient(t, channelkit.HTTPConfig{
		AllowHTTP: true, AllowPrivate: true,
		Middleware: []func(http.RoundTripper) http.RoundTripper{pass("outer"), pass("inner")},
	})
	t.Cleanup(client.CloseIdleConnections)
	for range 2 {
		resp, err := post(t, client, base)
		require.NoError(t, err)
		assert.Equal(t, http.StatusAccepted, resp.StatusCode)
		assert.Equal(t, []string{"outer", "inner"}, got)
	}
}

// Whatever middleware does, the guard stands below it.
func TestMiddlewareIsInsideTheGuard(t *testing.T) {
	t.Parallel()
	base := channelfixture.Serve(t, func(http.ResponseWriter, *http.Request) { t.Error("connected") })
	target, err := url.Parse(base)
	require.NoError(t, err)
	astray := func(scheme string) func(http.RoundTripper) http.RoundTripper {
		return func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.URL.Scheme, r.URL.Host = scheme, target.Host
				return next.RoundTrip(r)
			})
		}
	}
	for scheme, want := range map[string]channel.Class{"https": channel.ClassRefusedAddress,
		"http": channel.ClassConfig} {
		client := channelfixture.NewClient(t,
			channelkit.HTTPConfig{Middleware: []func(http.RoundTripper) http.RoundTripper{astray(scheme)}})
		_, err := post(t, client, "https://example.com/")
		assert.Equal(t, want, channel.AsError(err).Class, "%s: %v", scheme, err)
	}
}

// Its errors are failed attempts, and their text may hold anything.
func TestMiddlewareFails(t *testing.T) {
	t.Parallel()
	own := &channel.Error{Action: channel.Permanent, Class: "quota", Err: errors.New("no more today")}
	for _, tt := range []struct {
		resp *http.Response
		err  error
		want channel.Class
	}{
		{nil, errors.New("sesame"), channel.ClassProtocol},
		{nil, own, own.Class},
		{nil, nil, channel.ClassProtocol},
		{&http.Response{StatusCode: http.StatusOK}, nil, ""},
	} {
		client := channelfixture.NewClient(t,
			channelkit.HTTPConfig{Middleware: []func(http.RoundTripper) http.RoundTripper{
				func(http.RoundTripper) http.RoundTripper {
					return roundTripper(func(*http.Request) (*http.Response, error) { return tt.resp, tt.err })
				},
			}})
		_, err := post(t, client, "https://example.com/")
		if tt.want == "" {
			require.NoError(t, err)
			continue
		}
		got := channel.AsError(err)
		require.NotNil(t, got)
		assert.Equal(t, tt.want, got.Class)
		assert.Equal(t, errors.Is(tt.err, own), got.Action == channel.Permanent)
		assert.NotContains(t, err.Error(), "sesame")
	}
}
