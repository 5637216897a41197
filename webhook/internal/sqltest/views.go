package sqltest

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// CheckViews compares what the views of a new store say with what its methods say.
func CheckViews(t *testing.T, s webhook.Store, db *sql.DB) {
	t.Helper()
	ctx := t.Context()
	now := time.Now().Truncate(time.Millisecond).UTC()
	sub, paused, gone := NewSubscription(), NewSubscription(), NewSubscription()
	for _, sub := range []*webhook.Subscription{sub, paused, gone} {
		sub.OrganizationID, sub.CreatedAt, sub.UpdatedAt = "org_1", now, now
		require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
	}
	var events []webhook.NewEvent
	for i := range 5 {
		events = append(events, webhook.NewEvent{OrganizationID: "org_1", ID: fmt.Sprint("evt_", i),
			Type: "object.created", Payload: []byte(`{}`)})
	}
	stored, err := s.Enqueue(ctx, now, events, &webhook.Prefetch{Until: now.Add(time.Minute),
		Take: func(_ string, e webhook.Endpoint) bool { return e.SubscriptionID == sub.ID }})
	require.NoError(t, err)
	tasks := stored.Tasks
	require.Len(t, tasks, 5)
	failed := &webhook.Attempt{StartedAt: now, Duration: 1500 * time.Microsecond, StatusCode: 503,
		Class: "status", Error: "the endpoint answered 503", Response: "a \"quoted\"\nline, \\ and ü"}
	settle := func(task webhook.Task, status webhook.Status, attempt *webhook.Attempt) {
		t.Helper()
		_, err := s.Settle(ctx, now.Add(time.Second), []webhook.Settlement{{Lease: task.Lease,
			Status: status, DueAt: now, Attempt: attempt}})
		require.NoError(t, err)
	}
	settle(tasks[0], webhook.StatusPending, failed)
	again, err := s.Claim(ctx, now, webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 1,
		PerEndpoint: 1, Skip: []webhook.Endpoint{
			{SubscriptionID: paused.ID, Channel: "webhook"}, {SubscriptionID: gone.ID, Channel: "webhook"}}})
	require.NoError(t, err)
	require.Len(t, again, 1)
	settle(again[0], webhook.StatusSucceeded, &webhook.Attempt{StartedAt: now})
	settle(tasks[1], webhook.StatusDead, failed)
	settle(tasks[2], webhook.StatusPending, failed)
	require.NoError(t, s.Cancel(ctx, now, "org_1", tasks[3].DeliveryID))
	paused.Paused = true
	require.NoError(t, s.UpdateSubscription(ctx, paused, webhook.Quota{}))
	require.NoError(t, s.DeleteSubscription(ctx, "org_1", gone.ID, 0))

	var want, got [][]any
	var wantAttempts [][]any
	all, err := s.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: "org_1"})
	require.NoError(t, err)
	seen := make(map[webhook.Status]bool)
	for _, d := range all {
		seen[d.Status] = true
		want = append(want, []any{int64(d.ID), d.ID.String(), d.OrganizationID, d.EventID, d.EventType,
			d.SubscriptionID, d.Channel, string(d.Status), int64(len(d.Attempts)), d.CreatedAt,
			timeOrNil(d.SettledAt)})
		for _, a := range d.Attempts {
			wantAttempts = append(wantAttempts, []any{d.ID.String(), int64(a.Number), a.StartedAt,
				float64(a.Duration) / 1e6, int64(a.StatusCode), a.Class, a.Error, a.Response})
		}
	}
	require.Len(t, seen, 6, "there is a delivery of each status")
	got = rows(t, db, `SELECT id, delivery_id, organization_id, event_id, event_type, webhook_id,
		channel, status, attempts, created_at, settled_at FROM webhooks_deliveries_view ORDER BY id DESC`)
	require.Equal(t, want, got)
	got = rows(t, db, `SELECT delivery_id, number, started_at, duration_ms, coalesce(status_code, 0),
		coalesce(error_class, ''), coalesce(error, ''), coalesce(response, '')
		FROM webhooks_attempts_view ORDER BY id DESC, number`)
	require.Equal(t, wantAttempts, got)
	got = rows(t, db, `SELECT count(*) FROM webhooks_deliveries_view
		WHERE status = 'pending' AND due_at IS NULL`)
	require.Equal(t, [][]any{{int64(0)}}, got)

	found, err := s.Subscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: "org_1"})
	require.NoError(t, err)
	require.Len(t, found, 2)
	want = nil
	for _, sub := range found {
		channels, err := json.Marshal(sub.ChannelKeys())
		require.NoError(t, err)
		want = append(want, []any{sub.ID, sub.Name, string(channels), sub.Revision, sub.CreatedAt})
	}
	require.Equal(t, want, rows(t, db, `SELECT webhook_id, name, CAST(channels AS text), revision,
		created_at FROM webhooks_subscriptions_view ORDER BY created_at, webhook_id`))
	checkEndpointsView(t, s, db,
		webhook.EndpointState{OrganizationID: "org_1", Health: webhook.Degraded, Since: now,
			Endpoint:     webhook.Endpoint{SubscriptionID: sub.ID, Channel: "webhook"},
			FailingSince: now.Add(-time.Minute), FailedProbes: 2, NextProbe: now.Add(time.Hour),
			Cause: &webhook.EndpointCause{DeliveryID: 5, Class: "status", StatusCode: 503, Error: "it"}},
		webhook.EndpointState{OrganizationID: "org_1", Health: webhook.Disabled, Since: now,
			Endpoint:  webhook.Endpoint{SubscriptionID: paused.ID, Channel: "webhook"},
			ChangedBy: "ann"})
}

// checkEndpointsView compares what the view of endpoints says with what the methods say.
func checkEndpointsView(t *testing.T, s webhook.Store, db *sql.DB, states ...webhook.EndpointState) {
	t.Helper()
	var want [][]any
	for _, state := range states {
		require.NoError(t, webhook.SetEndpointState(t.Context(), s, &state, 0))
		row := []any{state.SubscriptionID, state.Channel, string(state.Health),
			timeOrNil(state.Since), timeOrNil(state.FailingSince), int64(state.FailedProbes),
			timeOrNil(state.NextProbe), state.ChangedBy, "", int64(0), "", ""}
		if c := state.Cause; c != nil {
			row = append(row[:8], c.DeliveryID.String(), int64(c.StatusCode), c.Class, c.Error)
		}
		want = append(want, row)
	}
	require.Equal(t, want, rows(t, db, `SELECT webhook_id, channel, health, since, failing_since,
		failed_probes, next_probe, coalesce(changed_by, ''), coalesce(delivery_id, ''),
		coalesce(status_code, 0), coalesce(error_class, ''), coalesce(error, '')
		FROM webhooks_endpoints_view WHERE organization_id = 'org_1' ORDER BY health`))
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// rows returns the rows of a query with the values in a form that all drivers share.
func rows(t *testing.T, db *sql.DB, query string) (all [][]any) {
	t.Helper()
	found, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { require.NoError(t, found.Close()) }()
	columns, err := found.Columns()
	require.NoError(t, err)
	for found.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		require.NoError(t, found.Scan(into...))
		for i, value := range row {
			switch v := value.(type) {
			case time.Time:
				row[i] = v.UTC()
			case string:
				if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
					row[i] = at
				}
			}
		}
		all = append(all, row)
	}
	require.NoError(t, found.Err())
	return all
}
