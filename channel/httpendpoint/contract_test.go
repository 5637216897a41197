package httpendpoint_test

import (
	"encoding/json"
	"testing"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/channeltest"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
)

func TestWebhookContract(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		const (
			header  = "header-sesame-4711"
			signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
			query   = "query-sesame-0815"
		)
		config.MaxResponse = 64 << 10 // endless sooner
		client := channelfixture.NewClient(t, config)
		channeltest.Run(t, channeltest.Harness{
			Driver: httpendpoint.NewDriver(client, httpendpoint.Options{}),
			HTTP: &channeltest.HTTP{Config: func(base string) json.RawMessage {
				return json.RawMessage(`{"url":"` + base + `/hook?token=` + query + `",` +
					`"headers":{"X-Mixpeek-Secret":"` + header + `"},"signing_secret":"` + signing + `"}`)
			}},
			Hanging: func(t testing.TB) json.RawMessage {
				return json.RawMessage(`{"url":"http://127.0.0.1:` + channelfixture.HangingPort(
					t) + `/?token=` + query + `","timeout":1}`)
			},
			Bad: []channeltest.Bad{
				{Name: "no url", Config: `{}`, Fields: []string{"url"}},
				{Name: "everything",
					Config: `{"url":"ftp://u:` + query + `@x/","timeout":-1,"method":"GET","headers":{"Host":"` + header + `"},"signing_secrets":["` + signing + `x"]}`,
					Fields: []string{"url", "timeout", "method", "headers.Host", "signing_secrets[0]"}},
			},
			Secrets: []string{header, signing, query},
			Close:   client.CloseIdleConnections,
		})
	})
}
