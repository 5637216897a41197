package httpendpoint_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/event/tracecontext"
)

func TestTraceHeaders(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	trace := tracecontext.Context{Parent: parent, State: "a=b", Baggage: "user=alice"}
	type headers = map[string]string
	for name, test := range map[string]struct {
		which tracecontext.Context
		send  httpendpoint.TraceHeaders
		own   headers
		want  headers
	}{
		"none":      {},
		"default":   {which: trace, want: headers{"Traceparent": parent, "Tracestate": "a=b"}},
		"no state":  {which: tracecontext.Context{Parent: parent}, want: headers{"Traceparent": parent}},
		"baggage":   {which: tracecontext.Context{Baggage: "a=b"}},
		"not asked": {which: trace, send: httpendpoint.TraceNone},
		"all": {which: trace, send: httpendpoint.TraceBaggage,
			want: headers{"Traceparent": parent, "Tracestate": "a=b", "Baggage": "user=alice"}},
		"invalid": {which: tracecontext.Context{Parent: parent + "\r\nX: 1", Baggage: "a=\r\nX: 1"},
			send: httpendpoint.TraceBaggage},
		"own parent": {which: trace, send: httpendpoint.TraceBaggage, own: headers{"traceparent": "mine"},
			want: headers{"Traceparent": "mine", "Baggage": "user=alice"}},
		"own state": {which: trace, own: headers{"TraceState": "mine=1"},
			want: headers{"Tracestate": "mine=1"}},
		"own baggage": {which: trace, send: httpendpoint.TraceBaggage, own: headers{"baggage": "mine=1"},
			want: headers{"Traceparent": parent, "Tracestate": "a=b", "Baggage": "mine=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got http.Header
			var body []byte
			url := channelfixture.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
				got = r.Header
				body, _ = io.ReadAll(r.Body)
			})
			ctx := tracecontext.With(t.Context(), test.which)
			d := httpendpoint.NewDriver(channelfixture.Client(t), httpendpoint.Options{Trace: test.send})
			requireTrace := func(ctx context.Context, config httpendpoint.Config, want headers) {
				t.Helper()
				config.URL, config.Headers = url, test.own
				c := channelfixture.Open(t, d, config)
				_, err := c.Send(ctx, channelfixture.Message())
				require.NoError(t, err)
				for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
					if want[name] == "" {
						assert.NotContains(t, got, name)
					} else {
						assert.Equal(t, []string{want[name]}, got[name])
					}
				}
			}
			requireTrace(ctx, httpendpoint.Config{}, test.want)

			const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
			requireTrace(ctx, httpendpoint.Config{SigningSecret: key}, test.want)
			parsed, err := signature.ParseKey(key)
			require.NoError(t, err)
			verifier, err := signature.NewVerifier(signature.Config{Keys: []signature.VerifyKey{{Key: parsed}}})
			require.NoError(t, err)
			_, err = verifier.Verify(got, time.Now(), body)
			require.NoError(t, err, "the signature is that of a request without a trace")
		})
	}
}
