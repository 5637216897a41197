package httpendpoint_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

// sink answers every request with 200 and a short body, and counts nothing.
func sink(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	})}
	go func() { _ = s.Serve(l) }()
	b.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String() + "/hook"
}

// BenchmarkBarePost is what BenchmarkSend is compared to: the plainest loop
// there is over net/http, with as many idle connections as it needs.
func BenchmarkBarePost(b *testing.B) {
	url := sink(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.Cleanup(client.CloseIdleConnections)
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Post(url, "application/json",
				bytes.NewReader([]byte(channelfixture.Payload)))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
}

// BenchmarkSend is the webhook channel: an attempt's timer, the guarded client,
// the excerpt of the answer, its classification.
func BenchmarkSend(b *testing.B) {
	benchmarkSend(b,
		httpendpoint.Config{Headers: map[string]string{"X-Mixpeek-Secret": "sesame-sesame"}})
}

// BenchmarkSendSigned is BenchmarkSend with a Standard Webhooks signature.
func BenchmarkSendSigned(b *testing.B) {
	benchmarkSend(b, httpendpoint.Config{SigningSecret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
}

func benchmarkSend(b *testing.B, config httpendpoint.Config) {
	config.URL = sink(b)
	c := channelfixture.Open(b, httpendpoint.NewDriver(channelfixture.Client(b),
		httpendpoint.Options{}), config)
	m := channelfixture.Message()
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Send(b.Context(), m); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
