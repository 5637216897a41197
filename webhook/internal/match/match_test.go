package match

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

func hook(id, organizationID string, patterns []event.Pattern, channels ...string) *webhook.Webhook {
	w := &webhook.Webhook{ID: id, OrganizationID: organizationID, EventTypes: patterns, Revision: 3}
	for _, name := range channels {
		w.Channels = append(w.Channels, webhook.ChannelConfig{Channel: name})
	}
	return w
}

func TestTargets(t *testing.T) {
	t.Parallel()
	paused := hook("wh_paused", "org_a", []event.Pattern{"*"}, "email")
	paused.Paused = true
	table := NewTable([]*webhook.Webhook{
		hook("wh_1", "org_a", []event.Pattern{"object.*", "object.created"}, "webhook", "slack", "webhook"),
		hook("wh_other", "org_b", []event.Pattern{"*"}, "webhook"),
		paused,
		hook("wh_2", "org_a", []event.Pattern{"invoice.paid"}, "webhook"),
	})
	target := func(id, channel string, paused bool) Target {
		return Target{Endpoint: webhook.Endpoint{WebhookID: id, Channel: channel}, Revision: 3, Paused: paused}
	}
	for _, c := range []struct {
		organizationID, eventType string
		want                      []Target
	}{
		{"org_a", "object.created", []Target{
			target("wh_1", "webhook", false), target("wh_1", "slack", false), target("wh_1", "webhook#2", false),
			target("wh_paused", "email", true),
		}},
		{"org_a", "invoice.paid", []Target{target("wh_paused", "email", true), target("wh_2", "webhook", false)}},
		{"org_b", "invoice.paid", []Target{target("wh_other", "webhook", false)}},
		{"org_c", "invoice.paid", nil},
		{"", "invoice.paid", nil},
	} {
		for range 2 { // computed, then remembered
			assert.Equal(t, c.want, table.Targets(c.organizationID, c.eventType), "%s of %q", c.eventType, c.organizationID)
		}
	}
}

func TestMemoIsBounded(t *testing.T) {
	t.Parallel()
	table := NewTable([]*webhook.Webhook{hook("wh_1", "", []event.Pattern{"*"}, "webhook")})
	for i := range maxMemo + 10 {
		require.Len(t, table.Targets("", fmt.Sprint("type.", i)), 1)
	}
	require.LessOrEqual(t, len(table.memo), maxMemo, "emitters of ever new types must not take ever more memory")
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	table := NewTable([]*webhook.Webhook{hook("wh_1", "", []event.Pattern{"*"}, "webhook")})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				assert.Len(t, table.Targets("", fmt.Sprint("type.", i)), 1)
			}
		})
	}
	wg.Wait()
}
