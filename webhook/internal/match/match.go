// Package match answers, for stores, which endpoints an event goes to.
package match

import (
	"sync"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Target is one endpoint that an event goes to.
type Target struct {
	Endpoint webhook.Endpoint
	Revision int64
	Paused   bool
}

// Table holds a fixed set of webhooks. It is safe for concurrent use; a store
// makes a new one when a webhook changes.
type Table struct {
	webhooks map[string][]*webhook.Webhook // by organization

	mu   sync.RWMutex
	memo map[key][]Target
}

type key struct{ organizationID, eventType string }

// maxMemo bounds the memory that emitters of ever new event types can take.
const maxMemo = 10_000

// NewTable makes a table of the webhooks, which must not change afterwards.
func NewTable(webhooks []*webhook.Webhook) *Table {
	t := &Table{
		webhooks: make(map[string][]*webhook.Webhook),
		memo:     make(map[key][]Target),
	}
	for _, w := range webhooks {
		t.webhooks[w.OrganizationID] = append(t.webhooks[w.OrganizationID], w)
	}
	return t
}

// Targets returns the endpoints for an event, in the order of the webhooks.
// The result is shared: not to be modified.
func (t *Table) Targets(organizationID, eventType string) []Target {
	k := key{organizationID, eventType}
	t.mu.RLock()
	targets, ok := t.memo[k]
	t.mu.RUnlock()
	if ok {
		return targets
	}
	for _, w := range t.webhooks[organizationID] {
		if !w.Matches(eventType) {
			continue
		}
		for _, channelKey := range w.ChannelKeys() {
			targets = append(targets, Target{
				Endpoint: webhook.Endpoint{WebhookID: w.ID, Channel: channelKey},
				Revision: w.Revision,
				Paused:   w.Paused,
			})
		}
	}
	t.mu.Lock()
	if len(t.memo) >= maxMemo {
		clear(t.memo)
	}
	t.memo[k] = targets
	t.mu.Unlock()
	return targets
}
