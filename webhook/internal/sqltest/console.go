package sqltest

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// ConsolePages asks for the pages of the console on a store that has a million deliveries of one
// subscription: a third of them wait, a tenth is dead, and the others have succeeded. exec runs a
// statement on the empty tables of the store. check is called after each page, and looks at what its
// statements have read. How long a page took is logged, and nothing depends on it.
func ConsolePages(
	t *testing.T, s webhook.Store, exec func(statement string), check func(page string),
) {
	t.Helper()
	ctx := t.Context()
	sub := NewSubscription()
	require.NoError(t, s.CreateSubscription(ctx, sub, webhook.Quota{}))
	now := time.Now()
	const deliveries = 1_000_000
	fillConsole(exec, now, deliveries,
		`INSERT INTO webhooks_events (id, created_at, last_id, organization_id, event_id, type, payload)
			SELECT i * 2, {now} - {all} + i, i * 2 + 1, '', 'evt_' || i, 'object.created', '{"event_id":"evt"}'
			FROM n`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, token, state, due_at, settled_at,
				kept, kept_at, attempts, history)
			SELECT i * 2 + 1, i * 2, (SELECT max(id) FROM webhooks_endpoints), 1,
				CASE WHEN i % 3 = 0 THEN 0 WHEN i % 10 = 1 THEN 3 ELSE 2 END,
				CASE WHEN i % 3 = 0 THEN {now} - {all} + i END,
				CASE WHEN i % 3 <> 0 THEN {now} - {all} + i END,
				CASE WHEN i % 3 <> 0 AND i % 10 = 1 THEN 3 END,
				CASE WHEN i % 3 <> 0 AND i % 10 = 1 THEN {now} - {all} + i END,
				CASE WHEN i % 3 = 0 THEN 0 ELSE 1 END,
				CASE WHEN i % 3 <> 0 THEN '{"at":' || ({now} + i) || ',"us":1000,"status":204}
' END FROM n`,
		`INSERT INTO webhooks_blocks SELECT DISTINCT endpoint_id, id / 16384 FROM webhooks_deliveries
			WHERE {all} > (SELECT min(i) FROM n)`)
	one := webhook.DeliveryID(deliveries + 1).String()
	askConsole(t, s, strings.NewReplacer(sub.ID, "ID"), check,
		"/", "/?organization=", "/?organization=&range=7d", "/subscriptions", "/subscriptions/"+sub.ID,
		"/deliveries", "/deliveries/"+one, "/dead", "/deliveries?subscription="+sub.ID,
		"/deliveries?status=pending", "/deliveries?status=dead", "/deliveries?status=succeeded",
		"/deliveries?status=pending&before="+one, "/dead?before="+one,
		"/deliveries?status=pending&subscription="+sub.ID, "/deliveries?event=evt_77")
}

// ConsoleOfManyEndpoints is ConsolePages for the page of operators, on a store in which deliveries wait
// for each of 10,000 endpoints.
func ConsoleOfManyEndpoints(
	t *testing.T, s webhook.Store, exec func(statement string), check func(page string),
) {
	t.Helper()
	require.NoError(t, s.CreateSubscription(t.Context(), NewSubscription(), webhook.Quota{}))
	const deliveries = 200_000
	fillConsole(exec, time.Now(), deliveries,
		`INSERT INTO webhooks_endpoints (id, organization_id, webhook_id, channel, state)
			SELECT (SELECT max(id) FROM webhooks_endpoints) + i, '', 'wh_' || i, 'webhook', 0 FROM n
			WHERE i <= 10000`,
		`INSERT INTO webhooks_events (id, created_at, last_id, organization_id, event_id, type, payload)
			SELECT i * 2, {now} - {all} + i, i * 2 + 1, '', 'evt_' || i, 'object.created', '{"event_id":"evt"}'
			FROM n`,
		`INSERT INTO webhooks_deliveries (id, event_id, endpoint_id, token, state, due_at, attempts)
			SELECT i * 2 + 1, i * 2, (SELECT max(id) FROM webhooks_endpoints) - i % 10000, 1, 0,
				{now} - {all} + i, 0 FROM n`,
		`INSERT INTO webhooks_blocks SELECT DISTINCT endpoint_id, id / 16384 FROM webhooks_deliveries
			WHERE {all} > (SELECT min(i) FROM n)`)
	askConsole(t, s, strings.NewReplacer(), check, "/")
}

// fillConsole runs statements on the numbers up to n, which are in the table n.
func fillConsole(exec func(statement string), now time.Time, n int, statements ...string) {
	for _, fill := range statements {
		fill = strings.NewReplacer("{now}", strconv.FormatInt(now.UnixMicro(), 10),
			"{all}", strconv.Itoa(n)).Replace(fill)
		exec(fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `,
			n) + fill)
	}
}

// askConsole asks for pages as an operator, and logs how long each took, with shorter names.
func askConsole(
	t *testing.T, s webhook.Store, short *strings.Replacer, check func(page string), pages ...string,
) {
	t.Helper()
	d, err := dispatch.New(s, dispatch.Config{Channels: channel.NewRegistry(),
		Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	c, err := console.New(d, func(*http.Request) (console.Identity, error) {
		return console.Identity{Organizations: []string{""}, Operator: true}, nil
	}, console.Config{})
	require.NoError(t, err)
	check("") // what came before the first page
	for _, page := range pages {
		w := httptest.NewRecorder()
		began := time.Now()
		c.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet,
			console.DefaultPrefix+page, nil))
		page = short.Replace(page)
		t.Logf("%6.1f ms: %s", time.Since(began).Seconds()*1000, page)
		require.Equal(t, http.StatusOK, w.Code, page)
		check(page)
	}
}
