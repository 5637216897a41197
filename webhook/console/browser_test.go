package console_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/apikey"
	"github.com/mixpeek/webhooks-go/webhook/console"
)

var (
	browser = flag.Bool("browser", false, "walk the console in Chromium, with the packages that npm ci "+
		"has installed in testdata/browser")
	screenshots = flag.String("browser.screenshots", "", "the `folder` for pictures of the main pages")
)

// TestBrowser walks every page and action in a browser, as a customer, as an operator, and without
// JavaScript. No page breaks a rule of axe-core, logs an error, or asks another host for anything.
func TestBrowser(t *testing.T) {
	if !*browser {
		t.Skip("only with -browser")
	}
	organizations := func(context.Context) ([]string, error) { return []string{mine, theirs}, nil }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute) // for a busy machine
	t.Cleanup(cancel)
	for name, walk := range map[string]struct {
		identity      console.Identity
		query, script string
	}{
		"customer":           {console.Identity{Organizations: []string{mine}}, "", "on"},
		"operator":           {console.Identity{Operator: true}, "organization=" + mine, "on"},
		"without JavaScript": {console.Identity{Organizations: []string{mine}}, "", "off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(c *console.Config) { c.Organizations = organizations })
			f.identity = walk.identity
			f.identity.Name, f.identity.Role, f.identity.Reveal = "ada@acme.example", console.Administer, true
			f.tellStory()
			server := httptest.NewServer(f.console)
			t.Cleanup(server.Close)
			base := server.URL + console.DefaultPrefix
			if name == "customer" && *screenshots != "" { // before the walk changes what they show
				out, err := exec.CommandContext(ctx, "node", "testdata/browser/pictures.js", base,
					*screenshots).CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
			node := exec.CommandContext(ctx, "node", "testdata/browser/walk.js")
			node.Env = append(os.Environ(), "CONSOLE="+base, "QUERY="+walk.query,
				"SCRIPT="+walk.script, "TARGET="+f.target.URL)
			out, err := node.CombinedOutput()
			t.Logf("%s", out)
			require.NoError(t, err)
		})
	}
}

// tellStory fills the store with a day of an ordinary organization: endpoints that work, one that
// refuses some events, one that is slow to recover, and one that is gone.
func (f *fixture) tellStory() {
	f.t.Helper()
	ctx := f.t.Context()
	now := time.Now().UTC()
	random := rand.New(rand.NewPCG(1, 2))
	subscribe := func(name string, types []event.Pattern, channels ...string) *webhook.Subscription {
		sub := &webhook.Subscription{OrganizationID: mine, Name: name, EventTypes: types}
		for _, configs := range channels {
			name, configs, _ := strings.Cut(configs, " ")
			sub.Channels = append(sub.Channels, webhook.ChannelConfig{Channel: name,
				Configs: []byte(configs)})
		}
		require.NoError(f.t, f.dispatcher.CreateSubscription(ctx, sub))
		return sub
	}
	hook := func(path string) string {
		return `webhook {"url": "` + f.target.URL + path + `", "headers": {"X-Secret": "` + secret +
			`"}, "signing_secret": "` + signing + `"}`
	}
	ordered, _, _ := f.hold()
	ordered.Name, ordered.EventTypes = "Billing ledger", []event.Pattern{"cluster.*"}
	require.NoError(f.t, f.dispatcher.UpdateSubscription(ctx, ordered))
	f.newKey(mine, "old deployment")
	_, err := f.keys.Revoke(ctx, apikey.Service("ada@acme.example"), mine, f.keyID)
	require.NoError(f.t, err)
	_, err = f.keys.Authenticate(ctx, f.newKey(mine, "billing service"))
	require.NoError(f.t, err)
	f.keys.Wait()
	_, _, err = f.keys.Create(ctx, apikey.Service("ada@acme.example"), webhook.APIKey{
		OrganizationID: mine, Name: "on-call scripts", ExpiresAt: now.Add(80 * 24 * time.Hour),
		Rights: webhook.Rights{Role: webhook.RoleOperate, Reveal: true}})
	require.NoError(f.t, err)
	types := []string{event.ObjectCreated, event.ObjectUpdated, event.CollectionUpdated,
		event.AlertTriggered}
	subs := []*webhook.Subscription{
		subscribe("Search cache", []event.Pattern{"object.*", "collection.*"}, hook("/cache")),
		subscribe("Warehouse export", []event.Pattern{"*"}, hook("/status/500?say=overloaded")),
		subscribe("On call", []event.Pattern{"alert.*"}, hook("/on-call"),
			`email {"to_addresses": ["oncall@acme.example"], "subject_template": "[{{ metadata.severity }}] {{ subject.id }}"}`),
		subscribe("Partner feed", []event.Pattern{"object.created"}, hook("/status/410?say=gone")),
		subscribe("Audit log", []event.Pattern{"*"}, hook("/audit")),
	}
	subscribe("Staging", []event.Pattern{"object.*"}, hook("/staging"))
	id := 0
	for hour := 23; hour >= 0; hour-- {
		at := now.Add(-time.Duration(hour)*time.Hour - 10*time.Minute)
		wave := 14 - (hour-6)*(hour-6)/14
		for range max(3, wave) + random.IntN(6) {
			id++
			eventType := types[random.IntN(len(types))]
			e := event.New(eventType, event.Subject{Type: "object", ID: fmt.Sprintf("obj_%04d", id)})
			e.ID, e.Namespace, e.OrganizationID = fmt.Sprintf("evt_%06d", id), "acme", mine
			e.Metadata = map[string]any{"bucket_id": "bkt_media", "content_type": "video/mp4"}
			e.OccurredAt = at
			payload, err := e.MarshalJSON()
			require.NoError(f.t, err)
			enqueued, err := f.store.Enqueue(ctx, at, []webhook.NewEvent{{OrganizationID: mine, ID: e.ID,
				Type: eventType, Payload: payload}}, &webhook.Prefetch{Until: at.Add(time.Minute),
				Take: func(string, webhook.Endpoint) bool { return true }})
			require.NoError(f.t, err)
			var results []webhook.Settlement
			for _, task := range enqueued.Tasks {
				took := time.Duration(12+random.IntN(90)) * time.Millisecond
				a := &webhook.Attempt{StartedAt: at, Duration: took, StatusCode: 204}
				s := webhook.Settlement{Lease: task.Lease, Status: webhook.StatusSucceeded, Attempt: a}
				switch name := task.Endpoint.SubscriptionID; {
				case name == subs[1].ID && (hour < 3 || random.IntN(9) == 0):
					a.StatusCode, a.Class, a.Error, a.Response = 503, "status", "the endpoint answered 503",
						"upstream connect error or disconnect/reset before headers"
					s.Status, s.DueAt = webhook.StatusPending, now.Add(time.Duration(1+random.IntN(50))*time.Minute)
				case name == subs[3].ID && random.IntN(5) == 0:
					a.StatusCode, a.Class, a.Error, a.Response = 422, "status", "the endpoint answered 422",
						`{"error": "unknown content type video/mp4"}`
					s.Status = webhook.StatusDead
				case name == subs[4].ID && random.IntN(60) == 0:
					a.StatusCode, a.Class, a.Error = 0, "timeout", "no answer within 10 s"
					s.Status = webhook.StatusDead
				}
				results = append(results, s)
			}
			_, err = f.store.Settle(ctx, at, results)
			require.NoError(f.t, err)
		}
		f.tellBacklog(at, hour)
	}
	at := webhook.Endpoint{SubscriptionID: subs[1].ID, Channel: "webhook"}
	state, err := f.store.EndpointState(ctx, mine, at)
	require.NoError(f.t, err)
	state.Health, state.Since, state.FailingSince = webhook.Degraded, now.Add(-170*time.Minute),
		now.Add(-3*time.Hour)
	state.FailedProbes, state.NextProbe = 9, now.Add(11*time.Minute)
	dead := f.deliveries(webhook.DeliveryQuery{OrganizationID: mine, SubscriptionID: subs[1].ID})
	state.Cause = &webhook.EndpointCause{DeliveryID: dead[0].ID, Class: "status", StatusCode: 503,
		Error: "the endpoint answered 503"}
	require.NoError(f.t, webhook.SetEndpointState(ctx, f.store, &state, 0))
	require.NoError(f.t, f.dispatcher.DisableEndpoint(ctx, mine,
		webhook.Endpoint{SubscriptionID: subs[3].ID, Channel: "webhook"}, "ada@acme.example"))
	f.subscribe(theirs, "Their own", "/")
	f.tellProcesses(now)
}

// tellProcesses has three processes deliver, of which one was killed.
func (f *fixture) tellProcesses(now time.Time) {
	f.t.Helper()
	for i, name := range []string{"web-7c9f/1", "web-b41d/1", "web-0a55/1"} {
		heartbeat := now
		if i == 2 {
			heartbeat = now.Add(-14 * time.Minute)
		}
		require.NoError(f.t, f.store.Capabilities().Processes.PutProcess(f.t.Context(), heartbeat,
			webhook.Process{ID: name, Name: name, Version: "v1.2.3", StartedAt: now.Add(-27 * time.Hour),
				InFlight: 3 + i, Queued: 12, Leased: 15 + i, Workers: 20, TrippedBreakers: 1,
				LastClaim: heartbeat.Add(-time.Second), StoreTime: 4 * time.Millisecond}))
	}
}

// tellBacklog has events wait for a while in some hours of the story, and counts the backlog in all but
// two, in which no process is running.
func (f *fixture) tellBacklog(at time.Time, hour int) {
	f.t.Helper()
	if hour == 19 || hour == 20 {
		return
	}
	ctx := f.t.Context()
	var events []webhook.NewEvent
	for i := range max(0, 12-3*(hour-9)*(hour-9)) {
		events = append(events, webhook.NewEvent{OrganizationID: mine, ID: fmt.Sprintf("late_%d_%d", hour, i),
			Type: event.ObjectUpdated, Payload: []byte(`{}`)})
	}
	if len(events) > 0 {
		_, err := f.store.Enqueue(ctx, at, events, nil)
		require.NoError(f.t, err)
	}
	at = at.Add(time.Duration(len(events)) * 30 * time.Second)
	require.NoError(f.t, f.store.Capabilities().Backlog.SampleBacklog(ctx, at))
	tasks, err := f.store.Claim(ctx, at, webhook.ClaimRequest{Until: at.Add(time.Minute), Limit: 1000,
		PerEndpoint: 1000})
	require.NoError(f.t, err)
	results := make([]webhook.Settlement, len(tasks))
	for i := range tasks {
		results[i] = webhook.Settlement{Lease: tasks[i].Lease, Status: webhook.StatusSucceeded,
			Attempt: &webhook.Attempt{StartedAt: at, Duration: 40 * time.Millisecond, StatusCode: 204}}
	}
	_, err = f.store.Settle(ctx, at, results)
	require.NoError(f.t, err)
}
