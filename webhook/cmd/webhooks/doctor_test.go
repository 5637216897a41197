package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// diagnosable is a store that says of itself what a test wants.
type diagnosable struct {
	webhook.Store
	diagnosis webhook.Diagnosis
	err       error
}

func (s *diagnosable) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Diagnostics = s
	return c
}

func (s *diagnosable) Diagnose(context.Context, time.Time) (webhook.Diagnosis, error) {
	return s.diagnosis, s.err
}

func (s *service) operator() env {
	s.t.Helper()
	return env{envURL: s.env[envURL], envAPIKey: s.key(webhook.APIKey{Name: "ops",
		Rights: webhook.Rights{Operator: true}})}
}

// checks returns what "doctor --json" says, by check.
func checks(t *testing.T, settings env) (code int, found map[string]check) {
	t.Helper()
	got := runs(t, settings, "", "doctor", "--json")
	found = map[string]check{}
	for line := range strings.Lines(got.stdout) {
		c := decode[check](t, line)
		found[c.Check] = c
	}
	return got.code, found
}

// What an API key may do is said to its holder, and of the service nothing unless that is an operator.
func TestDoctorSaysWhoAsks(t *testing.T) {
	t.Parallel()
	s := newServiceOn(t, &diagnosable{Store: memstore.New()})
	got := s.run("doctor")
	assert.Equal(t, exitOK, got.code, got.stdout)
	assert.Regexp(t, `ok       api key: key_\w+ first, of organization "org", has the role administer, `+
		`and may see secrets\n`, got.stdout)
	for _, name := range []string{"version", "schema", "processes", "transactions", "all organizations"} {
		assert.NotContains(t, got.stdout, name)
	}

	code, found := checks(t, env{envURL: s.env[envURL], envAPIKey: s.key(webhook.APIKey{Name: "short",
		ExpiresAt: time.Now().Add(time.Hour)})})
	assert.Equal(t, exitOK, code, "a warning is no error")
	assert.Equal(t, checkWarn, found["api key"].Result)
	assert.Contains(t, found["api key"].Detail, "expires in ")

	got = s.run("doctor", "--organization", "other")
	assert.Equal(t, exitForbidden, got.code, "not the view of another organization than the one that is meant")
	assert.Contains(t, got.stdout, "FAILED   api key")
	assert.Contains(t, got.stderr, "acts for its own organization only")

	code, found = checks(t, s.operator())
	assert.Equal(t, exitOK, code)
	assert.Contains(t, found["api key"].Detail, "has the role read, as an operator")
	assert.Contains(t, found["version"].Detail, "of the library")
}

// A service without tenants has one organization, whose name is empty.
func TestDoctorWithoutOrganizations(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a, err := api.New(s.d, func(*http.Request) (string, error) { return "", nil }, api.Config{
		Actor: func(*http.Request) string { return "the management API" }})
	require.NoError(t, err)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	got := runs(t, env{envURL: server.URL}, "", "doctor")
	assert.Equal(t, exitOK, got.code, got.stdout)
	assert.Contains(t, got.stdout, "api key: the management API has the role administer")
}

// An operator learns how the service is, across all organizations.
func TestDoctorLooksAtTheService(t *testing.T) {
	t.Parallel()
	store := &diagnosable{Store: memstore.New()}
	s := newServiceOn(t, store)
	ops := s.operator()
	good := webhook.Diagnosis{Kind: "postgres", SchemaVersion: 6, NeededVersion: 6,
		LastResult:   time.Now().Add(-time.Hour),
		Transactions: &webhook.LongTransactions{}}
	store.diagnosis = good
	code, found := checks(t, ops)
	assert.Equal(t, exitOK, code)
	for name, says := range map[string]string{
		"schema":                       "postgres has version 6, as the service needs",
		"transactions":                 "none has been open for more than a minute",
		"processes":                    "none delivers; the last result of any was stored 1h0m",
		"backlog of all organizations": "0 wait, 0 are in flight",
	} {
		assert.Equal(t, checkOK, found[name].Result, name)
		assert.Contains(t, found[name].Detail, says)
	}

	s.emit(2)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.d.Run(ctx) }()
	require.Eventually(t, func() bool {
		_, found := checks(t, ops)
		return strings.Contains(found["processes"].Detail, "one delivers: "+s.d.Process(ctx).Name+
			" (holds 0 deliveries")
	}, time.Minute, 20*time.Millisecond)
	stop()
	require.NoError(t, <-ended)

	at := time.Now()
	store.diagnosis.Transactions = &webhook.LongTransactions{More: true, Hidden: 1}
	for pid := range 6 {
		store.diagnosis.Transactions.Oldest = append(store.diagnosis.Transactions.Oldest,
			webhook.LongTransaction{PID: 4711 + pid, Application: "nightly\x1b[31m report",
				State: "idle in transaction", Since: at.Add(-90 * time.Minute)})
	}
	got := runs(t, ops, "", "doctor")
	assert.Equal(t, exitOK, got.code, "a warning is no error")
	assert.Contains(t, got.stdout, "warning  transactions: 6 or more open for more than a minute: "+
		`pid 4711 nightly\x1b[31m report idle in transaction for 1h30m; pid 4712 `)
	assert.Contains(t, got.stdout, "; … (1 session of other roles not seen)")
	assert.NotContains(t, got.stdout, "4716", "no more than five")
	assert.Contains(t, got.stdout, "pg_terminate_backend(pid)")

	store.diagnosis.Transactions = &webhook.LongTransactions{Hidden: 2}
	_, found = checks(t, ops)
	assert.Equal(t, checkOK, found["transactions"].Result)
	assert.Contains(t, found["transactions"].Detail, "(2 sessions of other roles not seen)")
	assert.Contains(t, found["transactions"].Remedy, "pg_read_all_stats")

	store.diagnosis = webhook.Diagnosis{Kind: "sqlite", SchemaVersion: 7, NeededVersion: 6}
	code, found = checks(t, ops)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, checkWarn, found["schema"].Result)
	assert.Contains(t, found["schema"].Detail, "sqlite has version 7, the service knows up to 6")
	assert.Equal(t, check{"transactions", checkOK, "not applicable to sqlite", ""}, found["transactions"])
	assert.Contains(t, found["processes"].Detail, "none has stored a result yet")

	store.diagnosis.SchemaVersion = 4
	code, found = checks(t, ops)
	assert.Equal(t, exitNo, code, "a check that has failed")
	assert.Equal(t, checkFail, found["schema"].Result)
	assert.Contains(t, found["schema"].Detail, "migrations that are missing: 5, 6")

	store.err = webhook.Unavailable("down: s3cr3t")
	got = runs(t, ops, "", "doctor")
	assert.Equal(t, exitUnreachable, got.code)
	assert.NotContains(t, got.stdout+got.stderr, "s3cr3t")
	store.err = errors.New("s3cr3t")
	assert.NotContains(t, runs(t, ops, "", "doctor").stderr, "s3cr3t")
}

// All processes are named that deliver, and those that were killed are a warning.
func TestDoctorJudgesProcesses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	claimed, stuck := now.Add(-2*time.Second), now.Add(-5*time.Minute)
	process := func(change func(p *api.Process)) api.Process {
		p := api.Process{Name: "web", Version: "v1.2.3", Heartbeat: now, Leased: 1, LastClaim: &claimed}
		change(&p)
		return p
	}
	web := process(func(*api.Process) {})
	lost := process(func(p *api.Process) { p.Name, p.Lost, p.Heartbeat = "old", true, now.Add(-10*time.Minute) })
	for name, c := range map[string]struct {
		processes []api.Process
		pending   int64
		want      check
	}{
		"one": {[]api.Process{web}, 3, check{"processes", checkOK,
			"one delivers: web (holds 1 delivery, last claimed 2s ago)", ""}},
		"two": {[]api.Process{web, process(func(p *api.Process) {
			p.Name, p.Version, p.Stopping, p.Leased, p.LastClaim = "new", "v1.3.0", true, 2, nil
		})}, 0, check{"processes", checkOK, "2 deliver: web (holds 1 delivery, last claimed 2s ago); " +
			"new (is stopping, holds 2 deliveries); they have v1.2.3 and v1.3.0 of the library", ""}},
		"many": {[]api.Process{web, web, web, web, web, web}, 0, check{"processes", checkOK,
			"6 deliver: " + strings.Repeat("web (holds 1 delivery, last claimed 2s ago); ", 5) + "…", ""}},
		"none, and nothing to do": {[]api.Process{}, 0, check{"processes", checkOK, "none delivers", ""}},
		"none": {[]api.Process{}, 3, check{"processes", checkWarn, "none delivers, and 3 are pending",
			"Start one that calls Run, or Drain."}},
		"lost": {[]api.Process{web, lost}, 0, check{"processes", checkWarn,
			"one delivers: web (holds 1 delivery, last claimed 2s ago); 1 lost: old, last heard of 10m0s ago",
			"What is lost was killed, stands still, or cannot reach the store: look into its log. " +
				"Others claim its deliveries when their leases end. It leaves the list an hour after its last " +
				"heartbeat."}},
		"stuck": {[]api.Process{process(func(p *api.Process) { p.LastClaim = &stuck })}, 0,
			check{"processes", checkWarn, "one delivers: web (holds 1 delivery, last claimed 5m0s ago)",
				"The store does not answer the claims of one of them: look into its log."}},
		"unknown": {nil, 0, check{"processes", checkOK,
			"the store does not keep which there are; the one that answered delivers nothing itself", ""}},
	} {
		s := &api.System{Now: now, Processes: c.processes, Backlog: api.Backlog{
			Deliveries: map[webhook.Status]int64{webhook.StatusPending: c.pending}}}
		assert.Equal(t, c.want, processCheck(s), name)
	}
	// No process delivers what is due: a failure, also if it is leased to a process that was killed.
	due := now.Add(-10 * time.Minute)
	s := &api.System{Now: now, Processes: []api.Process{lost}, Backlog: api.Backlog{OldestDue: &due,
		Deliveries: map[webhook.Status]int64{webhook.StatusPending: 3, webhook.StatusInFlight: 2}}}
	c := processCheck(s)
	assert.Equal(t, checkFail, c.Result)
	assert.Contains(t, c.Detail, "none delivers, and 5 are pending or in flight, the oldest that is due for 10m0s; 1 lost: old")
	assert.Contains(t, c.Remedy, "Start one that calls Run, or Drain. What is lost was killed")
	s.Processes = []api.Process{web}
	assert.Equal(t, checkOK, processCheck(s).Result)
	c = processCheck(&api.System{Now: now, Process: api.ProcessState{Running: true, LastClaim: &stuck}})
	assert.Equal(t, check{"processes", checkWarn, "the store does not keep which there are; the one that " +
		"answered delivers, holds 0 deliveries, last claimed 5m0s ago",
		"The store does not answer its claims: look into its log."}, c)
}

// What waits too long is a warning, of any organization.
func TestDoctorJudgesTheBacklogOfAll(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.emit(1)
	_, found := checks(t, s.operator())
	c := found["backlog of all organizations"]
	assert.Equal(t, checkOK, c.Result)
	assert.Contains(t, c.Detail, "1 wait, 0 are in flight")
	assert.Equal(t, check{"store", checkOK, "it does not say how it is", ""}, found["store"])
	c = backlogCheck("backlog", &api.Backlog{MoreUnfinished: true, Deliveries: map[webhook.Status]int64{
		webhook.StatusPending: 4, webhook.StatusPaused: 3, webhook.StatusInFlight: 2,
		webhook.StatusDead: 1}}, time.Now())
	assert.Equal(t, check{"backlog", checkOK, "7 or more wait (3 or more of them paused), 2 or more are in " +
		"flight, 1 are dead", ""}, c, "as the console counts what waits")
	since := time.Now()
	c = backlogCheck("backlog", &api.Backlog{OldestDue: &since}, since.Add(2*time.Minute))
	assert.Equal(t, checkWarn, c.Result)
	assert.Contains(t, c.Detail, "the oldest that is due waits for 2m0s")
	assert.Contains(t, c.Remedy, "a rate limit")
	assert.Contains(t, c.Remedy, "webhooks deliveries show")
}

// While everything fails and is retried, nothing has died, and the webhook is named nevertheless.
func TestDoctorNamesWhatFails(t *testing.T) {
	t.Parallel()
	s := newService(t)
	sub, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	sub.Retry = nil
	require.NoError(t, s.d.UpdateSubscription(t.Context(), sub))
	s.deliver(1, http.StatusOK)
	_, found := checks(t, s.env)
	assert.Contains(t, found["last 24 hours"].Detail, "1 succeeded, 0 died; 100% of 1 attempts succeeded")
	assert.NotContains(t, found, "failing webhook")
	s.deliver(5, http.StatusBadGateway)
	code, found := checks(t, s.env)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, found["last 24 hours"].Detail, "1 succeeded, 0 died; 16.6% of 6 attempts succeeded")
	assert.Equal(t, check{"failing webhook", checkWarn, webhookID + " (shop): 16.6% of 6 attempts of the " +
		"last 24 hours succeeded", "See why: webhooks endpoints show " + webhookID + "."},
		found["failing webhook"])
}

// Mails about broken endpoints that cannot be delivered themselves are a failure of their own.
func TestDoctorLooksWhetherNotificationsArrive(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	s := newService(t)
	_, found := checks(t, s.env)
	assert.NotContains(t, found, "notifications", "no webhook subscribes to them")
	sub, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	sub.EventTypes = append(sub.EventTypes, "webhook.*")
	require.NoError(t, s.d.UpdateSubscription(t.Context(), sub))
	s.deliver(1, http.StatusOK)
	code, found := checks(t, s.env)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, check{"notifications", checkOK, "operational events reach 1 webhook", ""},
		found["notifications"])
	s.deliver(1, http.StatusBadGateway)
	code, found = checks(t, s.env)
	assert.Equal(t, exitNo, code)
	assert.Equal(t, checkFail, found["notifications"].Result)
	assert.Contains(t, found["notifications"].Detail, webhookID+" (shop) gets no operational events: the "+
		"last attempt of its channel webhook failed at ")
	assert.Contains(t, found["notifications"].Detail, ": the endpoint answered 502 Bad Gateway")
}

// What has died and was replayed is over, and the commands are about a webhook that has dead ones.
func TestDoctorSaysWhatIsStillDead(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	s := newService(t)
	sub, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	sub.ID, sub.Name = otherID, "archive"
	require.NoError(t, s.d.PutSubscription(t.Context(), sub))
	s.deliver(2, http.StatusBadRequest)
	dead := webhook.DeliveryQuery{OrganizationID: "org", SubscriptionID: webhookID,
		Status: webhook.StatusDead, Limit: 10}
	replay := func() {
		t.Helper()
		list, err := s.d.Deliveries(t.Context(), dead)
		require.NoError(t, err)
		require.Len(t, list, 2)
		for _, d := range list {
			require.NoError(t, s.d.Replay(t.Context(), "org", d.ID))
		}
	}
	replay()
	s.deliver(0, http.StatusOK)
	_, found := checks(t, s.env)
	c := found["last 24 hours"]
	assert.Equal(t, checkWarn, c.Result)
	assert.Contains(t, c.Detail, "2 succeeded, 4 died, 2 of them of "+otherID+" (archive)")
	assert.Contains(t, c.Remedy, "webhooks deliveries list --status dead "+otherID)

	dead.SubscriptionID = otherID
	replay()
	s.drain()
	_, found = checks(t, s.env)
	c = found["last 24 hours"]
	assert.Equal(t, checkOK, c.Result)
	assert.Contains(t, c.Detail, "4 succeeded, 4 died and were replayed since, or have been pruned")
	assert.Empty(t, c.Remedy)
}

// A dead delivery of an ordered webhook holds back others, and is named until it is skipped.
func TestDoctorNamesWhatHoldsSubjects(t *testing.T) {
	t.Parallel()
	s := newService(t)
	_, found := checks(t, s.operator())
	assert.NotContains(t, found, "held subjects")
	sub, err := s.d.Subscription(t.Context(), "org", webhookID)
	require.NoError(t, err)
	sub.Ordering = &webhook.Ordering{}
	require.NoError(t, s.d.UpdateSubscription(t.Context(), sub))
	s.deliver(3, http.StatusBadRequest)
	code, found := checks(t, s.operator())
	assert.Equal(t, exitOK, code)
	for _, name := range []string{"held subjects", "held subjects of all organizations"} {
		c := found[name]
		assert.Equal(t, checkWarn, c.Result)
		assert.Regexp(t, `^1 dead delivery holds back later events about its subject, for .*; `+
			`2 deliveries wait in line$`, c.Detail)
		assert.Contains(t, c.Remedy, "webhooks deliveries skip")
	}
}
