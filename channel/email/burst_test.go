package email_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// A burst through a real server: one attempt for each mail, and one mail for each
// recipient and event.
func TestEmailBurst(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a few hundredths of a second of CPU time")
	}
	t.Parallel()
	webhooks, events := 12, 50
	s := &plainMailServer{}
	s.start(t)
	channels, err := standard.New(standard.Config{SMTP: s.client(t, nil)})
	require.NoError(t, err)
	outcomes := make(chan dispatch.Result, 2*webhooks*events)
	d, err := dispatch.New(memstore.New(), dispatch.Config{
		Channels: channels, Logger: slog.New(slog.DiscardHandler),
		Hooks: dispatch.Hooks{Attempted: func(o dispatch.Result) { outcomes <- o }},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	for i := range webhooks {
		require.NoError(t, d.CreateSubscription(ctx,
			&webhook.Subscription{Name: "mail", EventTypes: []event.Pattern{"*"},
				Channels: []webhook.ChannelConfig{
					webhook.Via(email.Config{ToAddresses: []string{fmt.Sprintf("u%d@example.com", i)}}),
				}}))
	}
	for i := range events {
		e := event.New("object.created", event.Subject{Type: "object", ID: strconv.Itoa(i)})
		e.Namespace = "acme"
		_, err := d.Emit(ctx, e)
		require.NoError(t, err)
	}
	for range webhooks * events {
		select {
		case o := <-outcomes:
			require.Equal(t, webhook.StatusSucceeded, o.Status, "%+v", o.Attempt)
			require.Equal(t, 1, o.Attempt.Number)
		case <-time.After(time.Minute):
			require.Fail(t, "the mails are not delivered")
		}
	}
	cancel()
	require.NoError(t, <-ended)
	assert.Empty(t, outcomes)
	seen := make(map[string]int)
	for _, h := range s.headers(t) {
		seen[h.Get("To")+h.Get("Message-Id")]++
	}
	assert.Len(t, seen, webhooks*events)
	assert.Len(t, s.mails, webhooks*events)
}
