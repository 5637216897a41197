package customchannel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/channeltest"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	customchannel "github.com/mixpeek/webhooks-go/examples/custom-channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// loopback makes the client that the tests' servers need.
func loopback() *channelkit.HTTPClient {
	client, err := channelkit.NewHTTPClient(
		channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true},
	)
	if err != nil {
		panic(err)
	}
	return client
}

func TestContract(t *testing.T) { // counts goroutines: not parallel
	if testing.Short() {
		t.Skip("takes seconds")
	}
	client := loopback()
	const secret = "sig-1f6e2b"
	channeltest.Run(t, channeltest.Harness{
		Driver: customchannel.Driver(client),
		HTTP: &channeltest.HTTP{Config: func(base string) json.RawMessage {
			return json.RawMessage(`{"url":"` + base + `/workflows/1?sig=` + secret + `"}`)
		}},
		Bad: []channeltest.Bad{
			{Name: "NoURL", Config: `{}`, Fields: []string{"url"}},
			{Name: "NoText", Config: `{"url":7}`},
			{Name: "NoHTTP", Config: `{"url":"ftp://example.com/` + secret + `"}`, Fields: []string{"url"}},
		},
		Secrets: []string{secret},
		Close:   client.CloseIdleConnections,
	})
}

func TestCard(t *testing.T) { // not parallel, see TestContract
	var got []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted) // as Teams does
	}))
	defer server.Close()
	client := loopback()
	defer client.CloseIdleConnections()
	teams, err := customchannel.Driver(client).Open(json.RawMessage(`{"url":"` + server.URL + `"}`))
	require.NoError(t, err)
	m, err := channel.NewMessage(
		event.New("invoice.paid", event.Subject{Type: "invoice", ID: "inv_1"}),
	)
	require.NoError(t, err)
	result, err := teams.Send(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, http.StatusAccepted, result.StatusCode)
	assert.Contains(t, string(got), `"contentType":"application/vnd.microsoft.card.adaptive"`)
	assert.Contains(t, string(got), `"text":"**invoice.paid**"`)
	assert.Contains(t, string(got), `"text":"invoice inv_1"`)
}

// The channel has to be registered under a name. Subscriptions can use it then,
// and their configs are checked by it.
func Example() {
	channels, err := standard.New(standard.Config{})
	if err != nil {
		panic(err)
	}
	client, err := channelkit.NewHTTPClient(channelkit.HTTPConfig{})
	if err != nil {
		panic(err)
	}
	if err := channels.Register(customchannel.Name, customchannel.Driver(client)); err != nil {
		panic(err)
	}
	dispatcher, err := dispatch.New(memstore.New(), dispatch.Config{Channels: channels})
	if err != nil {
		panic(err)
	}
	sub := &webhook.Subscription{
		Name:       "Operations",
		EventTypes: []event.Pattern{"alert.*"},
		Channels: []webhook.ChannelConfig{
			webhook.Via(customchannel.Config{URL: "https://example.webhook.office.com/workflows/1"}),
			webhook.Via(customchannel.Config{URL: "http://example.webhook.office.com/workflows/2"}),
		},
	}
	var invalid *event.ValidationError
	if errors.As(dispatcher.CreateSubscription(context.Background(), sub), &invalid) {
		fmt.Println("refused because of", invalid.Problems[0].Field)
	}
	// Output:
	// refused because of channels[1].configs.url
}
