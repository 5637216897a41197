package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

func TestPauseAndHealth(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/")
	base := "/subscriptions/" + sub.ID
	a := f.post(base + "/pause")
	require.Equal(t, http.StatusSeeOther, a.Status)
	assert.True(t, f.stored(sub.ID).Paused)
	assert.Contains(t, f.page(strings.TrimPrefix(a.Header.Get("Location"), "/console")),
		"The subscription is paused")
	f.post(base + "/resume")
	assert.False(t, f.stored(sub.ID).Paused)
	f.post(base+"/disable", "channel", "webhook")
	page := f.page(base)
	assert.Contains(t, page, "by ada@example.com")
	assert.Contains(t, f.page("/"), "by ada@example.com")
	f.post(base+"/enable", "channel", "webhook")
	assert.NotContains(t, f.page(base), "Disabled")
	assert.Equal(t, http.StatusNotFound, f.post(base+"/disable", "channel", "slack").Status)
	f.identity.Name = "Ada\tLovelace\xff" // as some directories have it
	require.Equal(t, http.StatusSeeOther, f.post(base+"/disable", "channel", "webhook").Status)
	assert.Contains(t, f.page(base), "by AdaLovelace")
	require.Equal(t, http.StatusSeeOther, f.post(base+"/delete").Status)
	assert.Equal(t, http.StatusNotFound, f.get(base).Status)
}

func TestDeliveryPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/status/500?say=broken")
	d := f.emit(mine)[0]
	path := "/deliveries/" + d.ID.String()
	page := f.page(path)
	for _, want := range []string{"Attempt 1", "500", "broken", "Next attempt", "obj_1", "As curl",
		"X-Secret: ********"} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, secret)
	require.Equal(t, http.StatusSeeOther, f.post(path+"/cancel").Status)
	assert.Equal(t, webhook.StatusCancelled, f.deliveries(webhook.DeliveryQuery{OrganizationID: mine})[0].Status)
	a := f.post(path + "/cancel")
	assert.Equal(t, http.StatusConflict, a.Status)
	require.Equal(t, http.StatusSeeOther, f.post(path+"/replay").Status)
	assert.Equal(t, webhook.StatusPending, f.deliveries(webhook.DeliveryQuery{OrganizationID: mine})[0].Status)
	require.NoError(t, f.dispatcher.DeleteSubscription(t.Context(), mine, sub.ID, 0))
	assert.Contains(t, f.page(path), "(deleted, or without this channel)")
	for _, bad := range []string{"dlv_999", "dlv_x", "1"} {
		assert.Equal(t, http.StatusNotFound, f.get("/deliveries/"+bad).Status)
	}
}

// A shell makes of the command the words that it shows, whatever the event says.
func TestCurlIsQuoted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(mine, "Mine", "/a'b")
	const evil = `'; touch /tmp/evil; $(id) "` + "`id`"
	d := f.emit(mine, func(e *event.Event) { e.Metadata = map[string]any{"x": evil} })[0]
	var command string
	for _, n := range elements(parse(t, f.page("/deliveries/"+d.ID.String())), "pre") {
		if strings.HasPrefix(text(n), "curl ") {
			command = text(n)
		}
	}
	require.NotEmpty(t, command)
	shell := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl", `printf '%s\0'`, 1))
	out, err := shell.Output()
	require.NoError(t, err)
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	payload, err := f.dispatcher.EventPayload(t.Context(), mine, d.EventID)
	require.NoError(t, err)
	assert.Equal(t, f.target.URL+"/a'b", words[2])
	assert.Equal(t, string(payload), words[len(words)-1])
}

// The body in the command is what the template makes of the event.
func TestCurlOfATemplate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/")
	sub.Channels[0].Configs = []byte(`{"url": "` + f.target.URL + `/", "payload_template":
		{"who": "{{ subject.id }}"}}`)
	require.NoError(t, f.dispatcher.UpdateSubscription(t.Context(), sub))
	d := f.emit(mine)[0]
	f.identity.Reveal = true
	assert.Contains(t, text(parse(t, f.page("/deliveries/"+d.ID.String()))), `'{"who":"obj_1"}'`)
}

func TestFilters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good, bad := f.subscribe(mine, "Good one", "/"), f.subscribe(mine, "Bad one", "/status/410")
	first := f.emit(mine)[0]
	for query, want := range map[string][2]bool{
		"":                              {true, true},
		"?status=dead":                  {false, true},
		"?status=succeeded":             {true, false},
		"?subscription=" + good.ID:      {true, false},
		"?subscription=" + bad.ID:       {false, true},
		"?event=" + first.EventID:       {true, true},
		"?type=object.deleted":          {false, false},
		"?since=2100-01-01T00:00":       {false, false},
		"?until=2000-01-01T00:00":       {false, false},
		"?since=2000-01-01T00:00&type=": {true, true},
		"?since=yesterday":              {false, false},
	} {
		page := f.page("/deliveries" + query)
		assert.Equal(t, want[0], strings.Contains(page, ">Good one<"), query)
		assert.Equal(t, want[1], strings.Contains(page, ">Bad one<"), query)
	}
	assert.Contains(t, f.page("/deliveries?since=yesterday"), "must be a date and a time")
}

// The pages of a list have each delivery once, and keep the filter.
func TestPages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/")
	for range 60 {
		f.emit(mine)
	}
	seen := map[string]bool{}
	next := "/deliveries?type=object.created&subscription=" + sub.ID
	pages := 0
	for ; next != ""; pages++ {
		root := parse(t, f.page(next))
		next = ""
		for _, a := range elements(root, "a") {
			if id, ok := strings.CutPrefix(attribute(a, "href"), "/console/deliveries/"); ok {
				assert.False(t, seen[id])
				seen[id] = true
			}
			if attribute(a, "rel") == "next" {
				next = strings.TrimPrefix(attribute(a, "href"), "/console")
				assert.Contains(t, next, "type=object.created")
			}
		}
	}
	assert.Len(t, seen, 60)
	assert.Equal(t, 3, pages)
}

func TestReplayOfDeadLetters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/status/410")
	var ids []string
	for range 3 {
		ids = append(ids, f.emit(mine)[0].ID.String())
		require.NoError(t, f.dispatcher.EnableEndpoint(t.Context(), mine,
			webhook.Endpoint{SubscriptionID: sub.ID, Channel: "webhook"}, "test"))
	}
	dead := func() int {
		return len(f.deliveries(webhook.DeliveryQuery{OrganizationID: mine, Status: webhook.StatusDead}))
	}
	a := f.post("/dead/replay", "id", ids[0])
	assert.Contains(t, a.Body, "1 delivery goes out again")
	assert.Equal(t, 2, dead())
	assert.Contains(t, f.post("/dead/replay", "id", ids[0]).Body, "Nothing was replayed")
	assert.Contains(t, f.post("/dead/replay").Body, "No delivery was selected")

	filter := "?subscription=" + sub.ID
	page := f.page("/dead/replay-all" + filter)
	assert.Contains(t, page, "Replay 2")
	assert.Equal(t, 2, dead(), "looking changes nothing")
	form := inputs(t, page, "rate")
	form.Set("rate", "many")
	assert.Contains(t, f.do(f.form("/dead/replay-all", form)).Body, "must be a number")
	form.Set("rate", "100")
	a = f.do(f.form("/dead/replay-all", form))
	require.Equal(t, http.StatusSeeOther, a.Status, a.Body)
	assert.Equal(t, 2, dead(), "it waits for a process that delivers")
	path := strings.TrimPrefix(a.Header.Get("Location"), "/console")
	page = f.page(path)
	assert.Contains(t, page, "under way")
	assert.Contains(t, page, "begun")
	assert.Contains(t, f.page("/dead"), path, "it is found again")
	change := f.changes[len(f.changes)-1]
	assert.Equal(t, "replay_many", change.Action)
	assert.True(t, strings.HasSuffix(path, change.ReplayID))
	f.identity.Role = console.Read
	assert.NotContains(t, f.page(path), "Stop")
	assert.Equal(t, http.StatusForbidden, f.post(path+"/stop").Status)
	f.identity.Role = console.Administer
	require.Equal(t, http.StatusSeeOther, f.post(path+"/stop").Status)
	assert.Contains(t, f.page(path), "stopped by ada@example.com")
	assert.Equal(t, "stop_replay", f.changes[len(f.changes)-1].Action)
	assert.Equal(t, 2, dead())

	path = f.replay()
	assert.Contains(t, f.page(path), `<dt>Replayed</dt><dd>2</dd>`)
	assert.Contains(t, f.page("/replays"), path)
	f.identity.Organizations = []string{theirs}
	assert.Equal(t, http.StatusNotFound, f.get(path).Status)
	assert.Equal(t, http.StatusNotFound, f.post(path+"/stop").Status)
	assert.NotContains(t, f.page("/replays"), path)
}

// A replay that a program began may be of other deliveries than dead ones, and have a limit: its page
// says so, and counts what it would replay.
func TestReplayThatAProgramBegan(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	f.subscribe(mine, "Mine", "/")
	var last webhook.Delivery
	for range 4 {
		last = f.emit(mine)[0]
		require.Equal(t, webhook.StatusSucceeded, last.Status)
	}
	page := func(q webhook.DeliveryQuery) string {
		q.OrganizationID = mine
		r, err := f.dispatcher.StartReplay(t.Context(), q,
			dispatch.ReplayOptions{PerSecond: 1, SettledBefore: last.SettledAt}, "a program")
		require.NoError(t, err)
		return f.page("/replays/" + r.ID)
	}
	limited := page(webhook.DeliveryQuery{Status: webhook.StatusSucceeded, Limit: 2})
	assert.Contains(t, limited, `<dt>Status</dt><dd>delivered</dd>`)
	assert.Contains(t, limited, `<dt>At most</dt><dd>2</dd>`)
	assert.Contains(t, limited, `<dt>Left</dt><dd>2</dd><dd class="sub">deliveries that fit</dd>`)
	assert.Contains(t, limited, `<dt>Settled before</dt>`)
	all := page(webhook.DeliveryQuery{Status: webhook.StatusSucceeded})
	assert.NotContains(t, all, `At most`)
	assert.Contains(t, all, `<dt>Left</dt><dd>3</dd>`, "the last one was settled too late")
	assert.Contains(t, page(webhook.DeliveryQuery{Status: webhook.StatusCancelled}),
		`<dt>Status</dt><dd>cancelled</dd>`)
	assert.Contains(t, page(webhook.DeliveryQuery{}), `<dt>Status</dt><dd>any settled one</dd>`)

	rows := text(elements(parse(t, f.page("/replays")), "tbody")[0])
	for _, row := range []string{"delivered02", "delivered0all", "cancelled0all", "any settled status0all"} {
		assert.Contains(t, rows, row, "the list says of which deliveries, and how many at most")
	}
}

// replay replays all dead letters, and returns the path of the page when it is done.
func (f *fixture) replay() string {
	f.t.Helper()
	form := inputs(f.t, f.page("/dead/replay-all"), "rate")
	form.Set("rate", "1000")
	a := f.do(f.form("/dead/replay-all", form))
	require.Equal(f.t, http.StatusSeeOther, a.Status, a.Body)
	path := strings.TrimPrefix(a.Header.Get("Location"), "/console")
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.dispatcher.Run(ctx) }()
	require.Eventually(f.t, func() bool { return strings.Contains(f.get(path).Body, ">done<") },
		time.Minute, 10*time.Millisecond)
	cancel()
	require.NoError(f.t, <-ended)
	return path
}

// fill stores deliveries of the subscription that have ended.
func (f *fixture) fill(sub *webhook.Subscription, n int, status webhook.Status) {
	f.t.Helper()
	ctx, at := f.t.Context(), time.Now().Add(-time.Hour)
	for done := 0; done < n; done += 200 {
		var events []webhook.NewEvent
		for i := done; i < min(n, done+200); i++ {
			events = append(events, webhook.NewEvent{OrganizationID: sub.OrganizationID,
				ID: fmt.Sprintf("evt_%d", i), Type: event.ObjectCreated, Payload: []byte(`{}`)})
		}
		enqueued, err := f.store.Enqueue(ctx, at, events, &webhook.Prefetch{Until: at.Add(time.Minute),
			Take: func(string, webhook.Endpoint) bool { return true }})
		require.NoError(f.t, err)
		var results []webhook.Settlement
		for _, task := range enqueued.Tasks {
			a := &webhook.Attempt{StartedAt: at, Duration: time.Millisecond, StatusCode: 200}
			if status == webhook.StatusDead {
				a.StatusCode, a.Class, a.Error = 400, "status", "the endpoint answered 400"
			}
			results = append(results, webhook.Settlement{Lease: task.Lease, Status: status, Attempt: a})
		}
		_, err = f.store.Settle(ctx, at, results)
		require.NoError(f.t, err)
	}
}

func TestTestSend(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "Mine", "/", "/status/500")
	path := "/subscriptions/" + sub.ID + "/test"
	form := inputs(t, f.page(path+"?type=object.deleted"), "event")
	assert.Contains(t, form.Get("event"), "object.deleted")
	page := f.do(f.form(path, form)).Body
	assert.Contains(t, page, "accepted")
	assert.Contains(t, page, "500")
	assert.Len(t, f.asked, 2)
	form.Set("channel", "webhook")
	f.do(f.form(path, form))
	assert.Len(t, f.asked, 3)
	for _, bad := range []string{"{", "[]", `{"event_type": "a b"}`} {
		a := f.post(path, "event", bad)
		assert.Equal(t, http.StatusUnprocessableEntity, a.Status, bad)
	}
	assert.Len(t, f.asked, 3)
	assert.Empty(t, f.deliveries(webhook.DeliveryQuery{OrganizationID: mine}))
}

func TestTemplateEditor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.subscribe(mine, "Mine", "/")
	d := f.emit(mine)[0]
	for _, kind := range []string{"payload", "blocks", "html", "markdown", "text"} {
		assert.NotContains(t, f.page("/templates?kind="+kind), "does not render", kind)
	}
	page := f.post("/templates", "kind", "text", "template", "for {{ subject.id }}", "event", d.EventID).Body
	assert.Contains(t, page, "for obj_1")
	a := f.post("/templates", "kind", "text", "template", "{{ nothing", "type", "object.created")
	assert.Equal(t, http.StatusUnprocessableEntity, a.Status)
	assert.Contains(t, a.Body, `id="template-problem"`)
	a = f.post("/templates", "kind", "text", "template", "x", "event", "evt_unknown")
	assert.Contains(t, a.Body, "there is no event of this id")
}

// counting counts the calls that read, and how much they may return.
type counting struct {
	webhook.Store
	calls, rows atomic.Int64
}

func (c *counting) Deliveries(ctx context.Context, q webhook.DeliveryQuery) ([]webhook.Delivery, error) {
	c.calls.Add(1)
	c.rows.Add(int64(q.PageSize()))
	return c.Store.Deliveries(ctx, q)
}

func (c *counting) Delivery(
	ctx context.Context, organizationID string, id webhook.DeliveryID,
) (*webhook.Delivery, error) {
	c.calls.Add(1)
	return c.Store.Delivery(ctx, organizationID, id)
}

func (c *counting) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	c.calls.Add(1)
	return c.Store.Subscription(ctx, organizationID, id)
}

func (c *counting) Subscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	c.calls.Add(1)
	if q.Limit <= 0 {
		c.rows.Add(1 << 30)
	}
	c.rows.Add(int64(q.Limit))
	return c.Store.Subscriptions(ctx, q)
}

func (c *counting) CountSubscriptions(context.Context, webhook.SubscriptionQuery) (int, error) {
	c.rows.Add(1 << 30) // its cost grows with their number
	return 0, nil
}

func (c *counting) Statistics(
	ctx context.Context, q webhook.StatisticsQuery,
) (webhook.Statistics, error) {
	c.rows.Add(1 << 30) // its cost grows with the backlog
	return c.Store.Statistics(ctx, q)
}

func (c *counting) HourlyStatistics(
	ctx context.Context, q webhook.HourlyQuery,
) (webhook.HourlyPage, error) {
	c.calls.Add(1)
	page, err := c.Store.HourlyStatistics(ctx, q)
	c.rows.Add(int64(len(page.Hours)))
	if q.Since.Before(time.Now().Add(-8 * 24 * time.Hour)) {
		c.rows.Add(1 << 30)
	}
	return page, err
}

func (c *counting) EndpointStates(
	ctx context.Context, q webhook.EndpointQuery,
) ([]webhook.EndpointState, error) {
	c.calls.Add(1)
	return c.Store.EndpointStates(ctx, q)
}

func (c *counting) Totals(
	ctx context.Context, now time.Time, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	c.calls.Add(1)
	if q.Limit <= 0 && !q.AllOrganizations {
		c.rows.Add(1 << 30)
	}
	return c.Store.Totals(ctx, now, q)
}

// What a page reads does not depend on how many deliveries and subscriptions there are.
func TestPagesReadBoundedRows(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a tenth of a second of CPU time")
	}
	store := &counting{Store: memstore.New()}
	f := newFixtureOn(t, store)
	sub := f.subscribe(mine, "Mine", "/")
	n, others := 20_000, 100
	if testing.Short() {
		n = 2_000
	}
	f.fill(sub, n, webhook.StatusDead)
	for i := range others {
		f.subscribe(mine, fmt.Sprintf("Other %d", i), "/")
	}
	d := f.deliveries(webhook.DeliveryQuery{OrganizationID: mine, Limit: 1})[0]
	for _, path := range []string{"/", "/?range=7d", "/subscriptions", "/subscriptions/" + sub.ID,
		"/subscriptions/" + sub.ID + "/edit", "/subscriptions/" + sub.ID + "/test", "/deliveries",
		"/deliveries?subscription=" + sub.ID + "&status=dead", "/deliveries/" + d.ID.String(), "/dead",
		"/events", "/templates"} {
		store.calls.Store(0)
		store.rows.Store(0)
		page := f.page(path)
		assert.LessOrEqual(t, store.calls.Load(), int64(60), path)
		assert.LessOrEqual(t, store.rows.Load(), int64(300), path)
		assert.Less(t, len(page), 200_000, path)
	}
	f.identity.Operator = true
	store.calls.Store(0)
	f.page("/")
	assert.LessOrEqual(t, store.calls.Load(), int64(60), "the page of operators")
	f.identity.Operator = false
	store.rows.Store(0)
	assert.Contains(t, f.page("/dead/replay-all"), "1\u202f000+")
	assert.LessOrEqual(t, store.rows.Load(), int64(1001))
}

// A customer with several organizations moves between them.
func TestSeveralOrganizations(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.identity.Organizations = []string{"", theirs, "a&b=c"}
	f.subscribe("", "Of none", "/")
	f.subscribe("a&b=c", "Of odd", "/")
	assert.Contains(t, f.page("/subscriptions"), "Of none")
	page := f.page("/subscriptions?organization=" + url.QueryEscape("a&b=c"))
	assert.Contains(t, page, "Of odd")
	assert.Contains(t, page, `<input type="hidden" name="organization" value="a&amp;b=c">`)
	assert.NotContains(t, page, "Of none")
}

// A replay ends though some deliveries cannot be replayed, such as those of a deleted subscription.
func TestReplaySkipsWhatIsGone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	sub, d := f.die(mine, "Mine")
	require.NoError(t, f.dispatcher.DeleteSubscription(t.Context(), mine, sub.ID, 0))
	assert.Contains(t, f.post("/dead/replay", "id", d.ID.String()).Body, "1 could not be replayed")
	assert.Contains(t, f.page(f.replay()), `<dt>Replayed</dt><dd>0</dd>`)
}

// withoutBacklog is a store that does not keep how large the backlog was.
type withoutBacklog struct{ webhook.Store }

func (s withoutBacklog) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Backlog = nil
	return c
}

// What waits is the same number in the cards and in the charts of the overviews: what is pending or
// paused, and not what is in flight.
func TestWaitingOfOverviews(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fill(f.subscribe(mine, "Some", "/"), 3, webhook.StatusPending)
	emit := func(id string, prefetch *webhook.Prefetch) {
		t.Helper()
		_, err := f.store.Enqueue(t.Context(), time.Now(), []webhook.NewEvent{{OrganizationID: mine,
			ID: id, Type: event.ObjectCreated, Payload: []byte(`{}`)}}, prefetch)
		require.NoError(t, err)
	}
	emit("evt_in_flight", &webhook.Prefetch{Until: time.Now().Add(time.Hour),
		Take: func(string, webhook.Endpoint) bool { return true }})
	paused := f.subscribe(mine, "Paused", "/")
	paused.Paused = true
	require.NoError(t, f.dispatcher.UpdateSubscription(t.Context(), paused))
	emit("evt_paused", nil)
	require.NoError(t, f.store.Capabilities().Backlog.SampleBacklog(t.Context(), time.Now()))
	f.identity.Operator = true
	for path, card := range map[string]string{
		"/?organization=" + mine: "Waiting 5 nothing is overdue, 1 of them paused",
		"/":                      "Waiting 5 1 of them paused; 1 in flight",
	} {
		page := f.page(path)
		shown := text(parse(t, strings.ReplaceAll(page, "<", " <")))
		assert.Contains(t, strings.Join(strings.Fields(shown), " "), card, path)
		assert.Contains(t, page, ": 5 waiting</title>", path)
	}
}

// The overview of an organization shows its own backlog, and that of operators the backlog of all.
func TestBacklogOfOverviews(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	backlog := f.store.Capabilities().Backlog
	for i, organization := range []string{mine, theirs} {
		f.fill(f.subscribe(organization, "Some", "/"), 3+4*i, webhook.StatusPending)
	}
	const unknown = "Not known for this time: it was not counted then."
	assert.Equal(t, 2, strings.Count(f.page("/"), unknown))
	require.NoError(t, backlog.SampleBacklog(t.Context(), time.Now()))
	for _, query := range []string{"", "range=7d"} {
		page := f.page("/?" + query)
		assert.Contains(t, page, `aria-label="Waiting deliveries: at most 3. Not known for `, query)
		assert.Contains(t, page, ": 3 waiting</title>", query)
		assert.Contains(t, page, `aria-label="Age of the oldest due delivery: at most `, query)
		f.identity.Operator = true
		assert.Contains(t, f.page("/?"+query), `aria-label="Waiting deliveries: at most 10. Not`, query)
		assert.Contains(t, f.page("/?organization="+theirs+"&"+query), ": 7 waiting</title>", query)
		f.identity.Operator = false
	}
	f = newFixtureOn(t, withoutBacklog{f.store})
	assert.NotContains(t, f.page("/"), "Age of the oldest")
	f.identity.Operator = true
	assert.NotContains(t, f.page("/"), "Age of the oldest")
}

// The page of a subscription names an event type that its endpoint refuses.
func TestSubscriptionPageNamesWhatIsRefused(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	good := f.subscribe(mine, "Takes all", "/")
	bad := f.subscribe(mine, "Refuses some", "/status/422?say=no")
	f.emit(mine)
	assert.NotContains(t, f.page("/subscriptions/"+good.ID), "refused")
	page := f.page("/subscriptions/" + bad.ID)
	d := f.deliveries(webhook.DeliveryQuery{OrganizationID: mine, SubscriptionID: bad.ID})[0]
	shown := strings.Join(strings.Fields(text(parse(t, page))), " ")
	assert.Regexp(t, `object\.created: 1 of 1 refused, the last (now|\d+ (s|min) ago) with 422`, shown)
	assert.Contains(t, page, "/deliveries/"+d.ID.String())
	assert.Contains(t, page, "/deliveries?subscription="+bad.ID+"&amp;type=object.created")
}

// While everything fails and is retried nothing has ended, and the pages show that it fails.
func TestPagesShowThatEverythingFails(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	sub := f.subscribe(mine, "Down", "/status/503")
	f.emit(mine)
	for path, says := range map[string]string{
		"/":                        "Attempts that succeeded 0.0\u202f% nothing has ended yet",
		"/subscriptions/" + sub.ID: "Attempts that succeeded, 24 h 0.0\u202f% nothing has ended yet",
		"/subscriptions":           "0.0\u202f%",
	} {
		page := strings.ReplaceAll(f.page(path), "><", "> <")
		assert.Contains(t, strings.Join(strings.FieldsFunc(text(parse(t, page)), func(r rune) bool {
			return r == ' ' || r == '\n'
		}), " "), says, path)
	}
}

// The page of a delivery that waits says why.
func TestDeliveryPageSaysWhyItWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "Slow", "/status/503")
	d := f.emit(mine)[0]
	path := "/deliveries/" + d.ID.String()
	assert.Contains(t, f.page(path), "The last attempt failed: the endpoint answered 503 "+
		"Service Unavailable. The next one is not due yet.")
	require.Equal(t, http.StatusSeeOther, f.post("/subscriptions/"+sub.ID+"/disable", "channel",
		d.Channel).Status)
	assert.Contains(t, f.page(path), "Its endpoint is disabled by ada@example.com.")
	require.Equal(t, http.StatusSeeOther, f.post("/subscriptions/"+sub.ID+"/pause").Status)
	assert.Contains(t, f.page(path), "The webhook is paused")
	require.Equal(t, http.StatusSeeOther, f.post(path+"/cancel").Status)
	assert.NotContains(t, f.page(path), "The webhook is paused")
}

// The overview says when those who should learn of broken endpoints do not.
func TestOverviewSaysThatNotificationsDoNotArrive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "On call", "/status/503")
	f.emit(mine)
	assert.NotContains(t, f.page("/"), "Operational events do not arrive", "it asks for everything")
	sub.EventTypes = append(sub.EventTypes, "webhook.*")
	require.NoError(t, f.dispatcher.UpdateSubscription(t.Context(), sub))
	page := strings.Join(strings.Fields(text(parse(t, f.page("/")))), " ")
	assert.Contains(t, page, "Operational events do not arrive.")
	assert.Contains(t, page, "On call: the last attempt of its channel webhook failed at ")
	assert.Contains(t, page, "the endpoint answered 503 Service Unavailable")
}

// An endpoint in trouble is shown with when its failures began, and not only when it was degraded.
func TestEndpointsInTroubleSayHowLongTheyHaveFailed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	sub := f.subscribe(mine, "Down", "/")
	state, err := f.dispatcher.EndpointState(t.Context(), mine, webhook.Endpoint{SubscriptionID: sub.ID,
		Channel: sub.ChannelKeys()[0]})
	require.NoError(t, err)
	now := time.Now()
	state.Health, state.Since, state.FailingSince = webhook.Degraded, now.Add(-2*time.Hour-time.Minute),
		now.Add(-5*time.Hour-time.Minute)
	state.Cause = &webhook.EndpointCause{Class: "connect", Error: "connection refused"}
	require.NoError(t, webhook.SetEndpointState(t.Context(), f.store, &state, 0))
	shown := func(path string) string {
		page := strings.ReplaceAll(f.page(path), "<", " <")
		return strings.Join(strings.Fields(text(parse(t, page))), " ")
	}
	const cause = "no connection: connection refused"
	assert.Contains(t, shown("/"), "webhook, for 2 h failing for 5 h "+cause)
	assert.Contains(t, shown("/subscriptions/"+sub.ID), "Failing for 5 h . "+cause)
	f.identity = console.Identity{Name: "ops", Operator: true, Role: console.Administer}
	operator := shown("/")
	assert.Contains(t, operator, "2 h failing for 5 h "+cause)

	// It had failed until a person enabled it.
	state.LastFailure = &webhook.EndpointFailure{Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Until: time.Date(2026, 1, 3, 3, 4, 5, 0, time.UTC)}
	require.NoError(t, webhook.SetEndpointState(t.Context(), f.store, &state, 0))
	assert.Contains(t, shown("/"), "failing for 5 h , and before, from 2 Jan 2026, 03:04:05 UTC to "+
		"3 Jan 2026, 03:04:05 UTC "+cause)
}

// A test suggests the type of a delivery that failed: another one may well be accepted.
func TestTestSuggestsWhatFailed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sub := f.subscribe(mine, "Refuses some", "/status/422")
	path := "/subscriptions/" + sub.ID + "/test"
	assert.NotContains(t, f.page(path), "because a delivery of that type failed")
	f.emit(mine, func(e *event.Event) { e.Type = "invoice.paid" })
	page := f.page(path)
	assert.Contains(t, page, `<option selected>invoice.paid</option>`)
	assert.Contains(t, page, "because a delivery of that type failed")
	assert.Contains(t, inputs(t, page, "event").Get("event"), `"invoice.paid"`)
	assert.Contains(t, inputs(t, f.page(path+"?type=object.created"), "event").Get("event"),
		`"object.created"`, "unless a person has chosen one")
}

// A page of JSON is a few times as long as the JSON, however deep that is nested.
func TestPagesOfDeepJSONAreBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	f := newFixture(t)
	deep := func(depth, elements int) string {
		return strings.Repeat("[", depth) + strings.Repeat("1,", elements) + "1" +
			strings.Repeat("]", depth)
	}
	a := f.post("/templates", "kind", "blocks", "template", deep(2_000, 20_000), "type", "object.created")
	assert.Equal(t, http.StatusOK, a.Status)
	assert.Less(t, len(a.Body), 300<<10)

	f.subscribe(mine, "deep", "/a")
	elements := 200_000
	if testing.Short() {
		elements = 20_000
	}
	d := f.emit(mine, func(e *event.Event) {
		e.Metadata = map[string]any{"a": json.RawMessage(deep(60, elements))}
	})[0]
	for _, path := range []string{"/deliveries/" + d.ID.String(),
		"/templates?kind=text&event=" + d.EventID} {
		page := f.page(path)
		assert.Contains(t, page, "1,1,1,1", path)
		assert.Less(t, len(page), 2<<20, path)
	}
}
