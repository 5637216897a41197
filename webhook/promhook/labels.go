package promhook

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// Other is the label of what has none of its own.
const Other = "_other"

const (
	resultSucceeded = "succeeded"
	resultCancelled = "cancelled"
	resultStored    = "stored"
	resultDuplicate = "duplicate"

	statusSucceeded = string(webhook.StatusSucceeded)
	statusDead      = string(webhook.StatusDead)
)

// classes are the results of attempts that failed. Channels of others may have classes of their own.
var classes = []channel.Class{
	channel.ClassDNS, channel.ClassConnect, channel.ClassProxy, channel.ClassTLS,
	channel.ClassTimeout, channel.ClassRefusedAddress, channel.ClassClosed, channel.ClassProtocol,
	channel.ClassTooLarge, channel.ClassRedirect, channel.ClassStatus, channel.ClassRejected,
	channel.ClassAuth, channel.ClassPartial, channel.ClassTemplate, channel.ClassPayload,
	channel.ClassConfig, channel.ClassPanic, channel.ClassUnknown, dispatch.ClassLost,
	dispatch.ClassExpired,
}

var healths = []string{
	string(webhook.Healthy), string(webhook.Degraded), string(webhook.Disabled),
}

// maxName is how many bytes a name may have that becomes a label.
const maxName = 100

// names are those that have labels of their own.
type names struct {
	limit int
	// added is called with each label that is new; nil calls nothing.
	added func(label string)

	mu   sync.RWMutex
	seen map[string]struct{}
}

// label returns the label of the name.
func (n *names) label(name string) string {
	n.mu.RLock()
	_, ok := n.seen[name]
	full := len(n.seen) >= n.limit
	n.mu.RUnlock()
	if ok {
		return name
	}
	if full || len(name) > maxName || name == "" || !utf8.ValidString(name) {
		return Other
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.seen[name]; ok {
		return name
	}
	if len(n.seen) >= n.limit {
		return Other
	}
	if n.seen == nil {
		n.seen = make(map[string]struct{})
	}
	n.seen[name] = struct{}{}
	if n.added != nil {
		n.added(name)
	}
	return name
}

// channelName returns the name of the channel with a key, such as "webhook" of "webhook#2".
func channelName(key string) string {
	name, _, _ := strings.Cut(key, "#")
	return name
}

// resultOf returns what an attempt came to.
func resultOf(a *dispatch.AttemptEnd) string {
	switch {
	case a.Err == nil:
		return resultSucceeded
	case errors.Is(a.Err, context.Canceled):
		return resultCancelled
	case slices.Contains(classes, channel.Class(a.Attempt.Class)):
		return a.Attempt.Class
	}
	return Other
}

// statusClass returns the class of an HTTP status: none if there was no answer.
func statusClass(code int) string {
	switch {
	case code == 0:
		return "none"
	case code >= 100 && code < 600:
		return []string{"1xx", "2xx", "3xx", "4xx", "5xx"}[code/100-1]
	}
	return Other
}

func healthLabel(health string) string {
	if slices.Contains(healths, health) {
		return health
	}
	return Other
}

// isStores reports whether an error is one of the store, and not of the events or of the caller. A
// call that its caller cancelled, or that Run cancelled when it ended, says nothing about the
// store. One whose time was over does: the store was too slow for it.
func isStores(err error) bool {
	var invalid *event.ValidationError
	return !errors.As(err, &invalid) && !errors.Is(err, context.Canceled) &&
		!errors.Is(err, dispatch.ErrNoTx) && !errors.Is(err, webhook.ErrWrongTx)
}
