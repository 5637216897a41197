package sqltest

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// parkingTest is a store with endpoints in pairs: one answers, and one may not be attempted.
type parkingTest struct {
	t   *testing.T
	s   webhook.Store
	db  *sql.DB
	now time.Time
	// claimed counts the claims of each delivery.
	claimed map[webhook.DeliveryID]int
}

// CheckParking checks that claims do not visit the deliveries of endpoints that may not be attempted,
// whichever endpoints lie between them, and that none is forgotten. The store is empty and its tables
// have the default prefix.
func CheckParking(t *testing.T, s webhook.Store, db *sql.DB) {
	t.Helper()
	const pairs, due = 120, 10
	p := &parkingTest{t: t, s: s, db: db, now: time.Now().Truncate(time.Microsecond),
		claimed: make(map[webhook.DeliveryID]int)}
	var dead []webhook.Endpoint
	for range pairs {
		sub := NewSubscription()
		sub.Channels = append(sub.Channels, sub.Channels[0])
		require.NoError(t, s.CreateSubscription(t.Context(), sub, webhook.Quota{}))
		dead = append(dead, webhook.Endpoint{SubscriptionID: sub.ID, Channel: sub.ChannelKeys()[0]})
	}
	// The first ones are probed in a minute, the next ones in an hour, and the others are disabled.
	p.set(dead[:due], webhook.Degraded, p.now.Add(time.Minute))
	p.set(dead[due:pairs/2], webhook.Degraded, p.now.Add(time.Hour))
	p.set(dead[pairs/2:], webhook.Disabled, time.Time{})
	p.emit("evt_1")
	require.Len(t, p.claim(pairs), pairs, "the endpoints that answer")
	p.settleDown()
	assert.Zero(t, p.visible(), "a claim visits none of those that may not be attempted")
	p.emit("evt_2")
	require.Len(t, p.claim(pairs), pairs)
	p.settleDown()
	assert.Zero(t, p.visible())

	p.now = p.now.Add(time.Minute)
	probes := p.claim(pairs)
	require.Len(t, probes, due, "those whose probe is due, and only one delivery of each")
	for _, task := range probes {
		require.NotNil(t, task.Probe)
	}
	require.Empty(t, p.claim(pairs), "there is one probe at a time")

	p.cancelAndReplay(dead[pairs-1])
	p.set(dead, webhook.Healthy, time.Time{})
	for range 10 { // what is parked goes out, in as many claims as its number takes
		p.claim(pairs)
	}
	for id, n := range p.claimed {
		assert.Equal(t, 1, n, "delivery %s was claimed twice", id)
	}
	assert.Len(t, p.claimed, 2*2*pairs, "each delivery was claimed")
	var asleep, parked int
	p.query("SELECT count(*) FROM webhooks_endpoints WHERE wake_at IS NOT NULL", &asleep)
	p.query("SELECT count(*) FROM webhooks_deliveries WHERE due_at IS NOT NULL AND parked = 1", &parked)
	assert.Zero(t, asleep+parked, "nothing is parked any more")
}

// set changes the states of endpoints.
func (p *parkingTest) set(endpoints []webhook.Endpoint, health webhook.Health, probe time.Time) {
	p.t.Helper()
	changes := make([]webhook.EndpointChange, len(endpoints))
	for i, e := range endpoints {
		state, err := p.s.EndpointState(p.t.Context(), "", e)
		require.NoError(p.t, err)
		state.Health, state.NextProbe = health, probe
		changes[i].State = &state
	}
	results, err := p.s.SetEndpointStates(p.t.Context(), changes)
	require.NoError(p.t, err)
	for _, result := range results {
		require.NoError(p.t, result)
	}
}

func (p *parkingTest) emit(id string) {
	p.t.Helper()
	events := []webhook.NewEvent{{ID: id, Type: "a.b", Payload: []byte(`{}`)}}
	enqueued, err := p.s.Enqueue(p.t.Context(), p.now, events, nil)
	require.NoError(p.t, err)
	for unfinished := enqueued.Events[0].Unfinished; unfinished; {
		finished, _, err := p.s.FanOut(p.t.Context(), p.now, events, nil)
		require.NoError(p.t, err)
		unfinished = finished == 0
	}
}

// claim claims up to limit deliveries, and settles those that are no probes.
func (p *parkingTest) claim(limit int) []webhook.Task {
	p.t.Helper()
	p.now = p.now.Add(time.Millisecond)
	tasks, err := p.s.Claim(p.t.Context(), p.now, webhook.ClaimRequest{
		Until: p.now.Add(10 * time.Hour), Limit: limit, PerEndpoint: 10})
	require.NoError(p.t, err)
	for i := range tasks {
		p.claimed[tasks[i].DeliveryID]++
	}
	if len(tasks) > 0 && tasks[0].Probe == nil {
		settlements := make([]webhook.Settlement, len(tasks))
		for i := range tasks {
			settlements[i] = webhook.Settlement{Lease: tasks[i].Lease, Status: webhook.StatusSucceeded,
				Attempt: &webhook.Attempt{StartedAt: p.now}}
		}
		_, err = p.s.Settle(p.t.Context(), p.now, settlements)
		require.NoError(p.t, err)
	}
	return tasks
}

// settleDown claims until there is nothing to be parked.
func (p *parkingTest) settleDown() {
	p.t.Helper()
	for range 5 {
		p.now = p.now.Add(2 * time.Second)
		require.Empty(p.t, p.claim(10))
	}
}

// cancelAndReplay cancels a parked delivery, and replays it.
func (p *parkingTest) cancelAndReplay(e webhook.Endpoint) {
	p.t.Helper()
	found, err := p.s.Deliveries(p.t.Context(), webhook.DeliveryQuery{
		SubscriptionID: e.SubscriptionID, EventID: "evt_1", Status: webhook.StatusPaused})
	require.NoError(p.t, err)
	require.Len(p.t, found, 1)
	require.NoError(p.t, p.s.Cancel(p.t.Context(), p.now, "", found[0].ID))
	require.NoError(p.t, p.s.Replay(p.t.Context(), p.now, "", found[0].ID))
}

// visible returns how many deliveries claims walk over.
func (p *parkingTest) visible() (n int) {
	p.t.Helper()
	p.query("SELECT count(*) FROM webhooks_deliveries WHERE due_at IS NOT NULL AND parked = 0", &n)
	return n
}

func (p *parkingTest) query(statement string, into *int) {
	p.t.Helper()
	require.NoError(p.t, p.db.QueryRowContext(p.t.Context(), statement).Scan(into))
}
