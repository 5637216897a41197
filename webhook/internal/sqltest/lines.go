package sqltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// Lines is a subscription in order, of which the statements are to be looked at.
type Lines struct {
	t   *testing.T
	s   webhook.Store
	now time.Time
	sub *webhook.Subscription
	n   int
}

// NewLines creates the subscription. It gets events of its own type.
func NewLines(t *testing.T, s webhook.Store, now time.Time) *Lines {
	t.Helper()
	sub := NewSubscription()
	sub.EventTypes, sub.Ordering = []event.Pattern{"lines.changed"}, &webhook.Ordering{}
	require.NoError(t, s.CreateSubscription(t.Context(), sub, webhook.Quota{}))
	return &Lines{t: t, s: s, now: now, sub: sub}
}

// Emit stores n events about the subject.
func (l *Lines) Emit(subject string, n int) error {
	events := make([]webhook.NewEvent, n)
	for i := range events {
		l.n++
		events[i] = webhook.NewEvent{ID: fmt.Sprint("evt_line_", l.n), Type: "lines.changed",
			Payload: []byte(`{}`), Subject: event.Subject{Type: "object", ID: subject}}
	}
	_, err := l.s.Enqueue(l.t.Context(), l.now, events, nil)
	return err
}

// Claim takes what has its turn.
func (l *Lines) Claim() (mine []webhook.Task, err error) {
	tasks, err := l.s.Claim(l.t.Context(), l.now, webhook.ClaimRequest{Until: l.now.Add(time.Minute),
		Limit: 50, PerEndpoint: 50})
	for _, task := range tasks {
		if task.Ordered {
			mine = append(mine, task)
		}
	}
	return mine, err
}

// Settle stores the result of a task. A dead one holds its line for a minute.
func (l *Lines) Settle(task webhook.Task, status webhook.Status) error {
	_, err := l.s.Settle(l.t.Context(), l.now, []webhook.Settlement{{Lease: task.Lease, Status: status,
		Attempt: &webhook.Attempt{StartedAt: l.now}, SkipAt: l.now.Add(time.Minute)}})
	return err
}

// Use does all that there is to do with lines.
func (l *Lines) Use() {
	l.t.Helper()
	ctx := l.t.Context()
	require.NoError(l.t, l.Emit("a", 20))
	tasks, err := l.Claim()
	require.NoError(l.t, err)
	require.Len(l.t, tasks, 1)
	require.NoError(l.t, l.Settle(tasks[0], webhook.StatusSucceeded))
	tasks, err = l.Claim()
	require.NoError(l.t, err)
	require.Len(l.t, tasks, 1)
	require.NoError(l.t, l.Settle(tasks[0], webhook.StatusDead))
	q := webhook.DeliveryQuery{Holding: true}
	held, err := l.s.Deliveries(ctx, q)
	require.NoError(l.t, err)
	require.Len(l.t, held, 1)
	require.NoError(l.t, l.s.Replay(ctx, l.now, "", held[0].ID))
	require.NoError(l.t, l.s.Cancel(ctx, l.now, "", held[0].ID))
	tasks, err = l.Claim()
	require.NoError(l.t, err)
	require.Len(l.t, tasks, 1)
	require.NoError(l.t, l.Settle(tasks[0], webhook.StatusDead))
	require.NoError(l.t, l.s.Capabilities().Ordering.Skip(ctx, l.now, "", tasks[0].DeliveryID))
	_, err = l.s.Deliveries(ctx, webhook.DeliveryQuery{Status: webhook.StatusPending})
	require.NoError(l.t, err)
}
