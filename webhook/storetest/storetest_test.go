package storetest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

// broken returns stores that each break one rule, as a store might by mistake, and the case that
// must notice it.
func broken() map[string]struct {
	store  webhook.Store
	caught string
} {
	return map[string]struct {
		store  webhook.Store
		caught string
	}{
		"forgets the revision": {forgetsRevision{memstore.New()},
			"Subscriptions/CreateSetsRevision"},
		"ignores quotas":             {ignoresQuota{memstore.New()}, "Subscriptions/Quota"},
		"ignores offsets":            {ignoresOffset{memstore.New()}, "Subscriptions/ListOrderAndPaging"},
		"goes after a time only":     {afterTime{memstore.New()}, "Subscriptions/ListAfter"},
		"counts a page":              {countsPage{memstore.New()}, "Subscriptions/ListAfter"},
		"never conflicts":            {neverConflicts{memstore.New()}, "Subscriptions/UpdateConflict"},
		"loses what is left to do":   {losesFanOut{memstore.New()}, "FanOut/FanOut"},
		"compacts payloads":          {compactsPayloads{memstore.New()}, "Enqueue/Payloads"},
		"ignores cancelled contexts": {ignoresCancellation{memstore.New()}, "Cancellation/BeforeTheCall"},
		"rounds times up":            {roundsUp{memstore.New()}, "Claim/SubMicrosecondTimes"},
		"ignores skip":               {ignoresSkip{memstore.New()}, "Rotation/Skip"},
		"claims without a limit":     {claimsWithoutLimit{memstore.New()}, "Limits/BelowOneIsRefused"},
		"ignores PerEndpoint":        {ignoresPerEndpoint{memstore.New()}, "Rotation/Bounds"},
		"stops short":                {stopsShort{memstore.New()}, "Claim/OnlyOnce"},
		"hides refusals":             {hidesRefusals{memstore.New()}, "Claim/ExpiredLease"},
		"counts failed probes":       {countsProbes{memstore.New()}, "Endpoints/FailedProbeDoesNotCount"},
		"overwrites states":          {overwritesStates{memstore.New()}, "Endpoints/CompareAndSet"},
		"keeps milliseconds":         {keepsMilliseconds{memstore.New()}, "Settle/HistoryIsExact"},
		"starts nothing":             {startsNothing{memstore.New()}, "Lease/LostAttempts"},
		"hides lost leases":          {hidesLost{memstore.New()}, "Lease/ExtendLost"},
		"lists the oldest first":     {oldestFirst{memstore.New()}, "History/NewestFirst"},
		"reads all attempts":         {readsAttempts{memstore.New()}, "History/WithoutAttempts"},
		"ignores the tenant":         {ignoresTenant{memstore.New()}, "Tenants/EveryMethod"},
		"ignores Since":              {ignoresSince{memstore.New()}, "Statistics/Since"},
		"has pages of hours":         {pagesOfHours{memstore.New()}, "Statistics/HourlyPages"},
		"counts what is stored":      {countsStored{memstore.New()}, "Statistics/OutlivePruning"},
		"prunes too early":           {prunesEarly{memstore.New()}, "Prune/Strictly"},
		"revokes again":              {revokesAgain{memstore.New()}, "APIKeys/Revoke"},
		"removes any API key":        {removesAnyAPIKey{memstore.New()}, "APIKeys/RoomIsMade"},
		"totals of all":              {totalsOfAll{memstore.New()}, "Totals/Organizations"},
		"backlog of all":             {backlogOf{memstore.New(), ofAll}, "Backlog/Organizations"},
		"backlog of any time":        {backlogOf{memstore.New(), ofAnyTime}, "Backlog/ByHour"},
		"never prunes processes":     {neverPrunes{memstore.New()}, "Processes/Pruned"},
		"lists by start":             {listsByStart{memstore.New()}, "Processes/Listed"},
		"hides that it stopped":      {hidesMore{memstore.New()}, "Totals/Limit"},
	}
}

const brokenVariable = "STORETEST_RUN_BROKEN"

// TestBroken runs the suite over broken stores for TestSuiteNotices, in another process, because it
// has to fail.
func TestBroken(t *testing.T) {
	if os.Getenv(brokenVariable) == "" {
		return
	}
	for name := range broken() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t,
				storetest.Harness{New: func(*testing.T) webhook.Store { return broken()[name].store }})
		})
	}
}

func TestSuiteNotices(t *testing.T) {
	t.Parallel()
	for name, b := range broken() {
		if testing.Short() && name != "never conflicts" {
			continue // each takes a process
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test := "TestBroken/" + strings.ReplaceAll(name, " ", "_") + "/" + b.caught
			command := exec.CommandContext(t.Context(), os.Args[0],
				"-test.run=^"+strings.ReplaceAll(test, "/", "$/^")+"$")
			command.Env = append(os.Environ(), brokenVariable+"=1")
			output, err := command.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "a store that %s must fail the suite", name)
			require.Contains(t, string(output), "--- FAIL: "+test+" ", "a store that %s must fail %s", name,
				b.caught)
		})
	}
}

// TestSuitePasses runs the suite over the reference implementation with every part of the harness.
// Data in memory is "reopened" by using the same store.
func TestSuitePasses(t *testing.T) {
	if testing.Short() {
		t.Skip("the tests of memstore run the same groups")
	}
	t.Parallel()
	same := func(_ *testing.T, s webhook.Store) webhook.Store { return s }
	storetest.Run(t, storetest.Harness{
		New:    func(*testing.T) webhook.Store { return memstore.New() },
		Reopen: same,
		Peer:   same,
		Begin: func(_ *testing.T, s webhook.Store) storetest.CallerTx {
			tx := s.(*memstore.Store).Begin()
			return storetest.CallerTx{Tx: tx, Commit: tx.Commit, Rollback: tx.Rollback}
		},
	})
}

type forgetsRevision struct{ webhook.Store }

func (s forgetsRevision) CreateSubscription(
	ctx context.Context, sub *webhook.Subscription, quota webhook.Quota,
) error {
	return s.Store.CreateSubscription(ctx, sub.Clone(), quota)
}

type ignoresQuota struct{ webhook.Store }

func (s ignoresQuota) CreateSubscription(
	ctx context.Context, sub *webhook.Subscription, _ webhook.Quota,
) error {
	return s.Store.CreateSubscription(ctx, sub, webhook.Quota{})
}

type ignoresOffset struct{ webhook.Store }

func (s ignoresOffset) Subscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	q.Offset = 0
	return s.Store.Subscriptions(ctx, q)
}

// afterTime forgets that subscriptions may share a time.
type afterTime struct{ webhook.Store }

func (s afterTime) Subscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	if q.After.ID != "" {
		q.After = webhook.SubscriptionCursor{CreatedAt: q.After.CreatedAt.Add(time.Microsecond)}
	}
	return s.Store.Subscriptions(ctx, q)
}

type countsPage struct{ webhook.Store }

func (s countsPage) CountSubscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) (int, error) {
	found, err := s.Subscriptions(ctx, q)
	return len(found), err
}

type neverConflicts struct{ webhook.Store }

func (s neverConflicts) UpdateSubscription(
	ctx context.Context, sub *webhook.Subscription, quota webhook.Quota,
) error {
	if stored, err := s.Subscription(ctx, sub.OrganizationID, sub.ID); err == nil {
		sub.Revision = stored.Revision
	}
	return s.Store.UpdateSubscription(ctx, sub, quota)
}

type losesFanOut struct{ webhook.Store }

func (s losesFanOut) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, p *webhook.Prefetch,
) (webhook.Enqueued, error) {
	enqueued, err := s.Store.Enqueue(ctx, now, events, p)
	for i := range enqueued.Events {
		if enqueued.Events[i].Deliveries > 64 {
			enqueued.Events[i].Unfinished = true
		}
	}
	n := min(64, len(enqueued.Tasks))
	enqueued.Tasks = enqueued.Tasks[:n]
	return enqueued, err
}

type compactsPayloads struct{ webhook.Store }

func (s compactsPayloads) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	events = slices.Clone(events)
	for i := range events {
		var b bytes.Buffer
		if json.Compact(&b, events[i].Payload) == nil {
			events[i].Payload = b.Bytes()
		}
	}
	return s.Store.Enqueue(ctx, now, events, prefetch)
}

type ignoresCancellation struct{ webhook.Store }

func (s ignoresCancellation) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	return s.Store.Settle(context.WithoutCancel(ctx), now, settlements)
}

type roundsUp struct{ webhook.Store }

func (s roundsUp) Enqueue(
	ctx context.Context, now time.Time, events []webhook.NewEvent, prefetch *webhook.Prefetch,
) (webhook.Enqueued, error) {
	return s.Store.Enqueue(ctx, now.Round(time.Microsecond), events, prefetch)
}

type ignoresSkip struct{ webhook.Store }

func (s ignoresSkip) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	r.Skip = nil
	return s.Store.Claim(ctx, now, r)
}

type claimsWithoutLimit struct{ webhook.Store }

func (s claimsWithoutLimit) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	r.PerEndpoint = max(r.PerEndpoint, 1)
	return s.Store.Claim(ctx, now, r)
}

type ignoresPerEndpoint struct{ webhook.Store }

func (s ignoresPerEndpoint) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	r.PerEndpoint = r.Limit
	return s.Store.Claim(ctx, now, r)
}

type stopsShort struct{ webhook.Store }

func (s stopsShort) Claim(
	ctx context.Context, now time.Time, r webhook.ClaimRequest,
) ([]webhook.Task, error) {
	r.Limit = min(r.Limit, 2)
	return s.Store.Claim(ctx, now, r)
}

type hidesRefusals struct{ webhook.Store }

func (s hidesRefusals) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	_, err := s.Store.Settle(ctx, now, settlements)
	return nil, err
}

type overwritesStates struct{ webhook.Store }

func (s overwritesStates) SetEndpointStates(
	ctx context.Context, changes []webhook.EndpointChange,
) ([]error, error) {
	results := make([]error, len(changes))
	for i, c := range changes {
		stored, err := s.EndpointState(ctx, c.State.OrganizationID, c.State.Endpoint)
		if results[i] = err; err == nil {
			c.State.Revision = stored.Revision
			results[i] = webhook.SetEndpointState(ctx, s.Store, c.State, c.SubscriptionRevision)
		}
	}
	return results, nil
}

type countsProbes struct{ webhook.Store }

func (s countsProbes) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	settlements = slices.Clone(settlements)
	for i := range settlements {
		settlements[i].Probe = false
	}
	return s.Store.Settle(ctx, now, settlements)
}

type keepsMilliseconds struct{ webhook.Store }

func (s keepsMilliseconds) Settle(
	ctx context.Context, now time.Time, settlements []webhook.Settlement,
) ([]webhook.Lease, error) {
	settlements = slices.Clone(settlements)
	for i := range settlements {
		if a := settlements[i].Attempt; a != nil {
			rounded := *a
			rounded.Duration = a.Duration.Round(time.Millisecond)
			settlements[i].Attempt = &rounded
		}
	}
	return s.Store.Settle(ctx, now, settlements)
}

type startsNothing struct{ webhook.Store }

func (startsNothing) Start(context.Context, time.Time, []webhook.Lease) ([]webhook.Lease, error) {
	return nil, nil
}

type hidesLost struct{ webhook.Store }

func (s hidesLost) Extend(
	ctx context.Context, until time.Time, leases []webhook.Lease,
) ([]webhook.Lease, error) {
	_, err := s.Store.Extend(ctx, until, leases)
	return nil, err
}

type oldestFirst struct{ webhook.Store }

func (s oldestFirst) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	found, err := s.Store.Deliveries(ctx, q)
	slices.Reverse(found)
	return found, err
}

type ignoresTenant struct{ webhook.Store }

func (s ignoresTenant) Delivery(
	ctx context.Context, organizationID string, id webhook.DeliveryID,
) (*webhook.Delivery, error) {
	d, err := s.Store.Delivery(ctx, "org_a", id)
	if err != nil {
		return s.Store.Delivery(ctx, organizationID, id)
	}
	return d, nil
}

type prunesEarly struct{ webhook.Store }

func (s prunesEarly) Prune(
	ctx context.Context, now time.Time, r webhook.PruneRequest,
) (int, error) {
	if !r.SucceededBefore.IsZero() {
		r.SucceededBefore = r.SucceededBefore.Add(time.Microsecond)
	}
	return s.Store.Prune(ctx, now, r)
}

type ignoresSince struct{ webhook.Store }

func (s ignoresSince) Statistics(
	ctx context.Context, q webhook.StatisticsQuery,
) (webhook.Statistics, error) {
	f, err := s.Store.Statistics(ctx,
		webhook.StatisticsQuery{OrganizationID: q.OrganizationID, SubscriptionID: q.SubscriptionID})
	f.Since = q.Since.UTC().Truncate(time.Hour)
	return f, err
}

// pagesOfHours bounds a page by its hours.
type pagesOfHours struct{ webhook.Store }

func (s pagesOfHours) HourlyStatistics(
	ctx context.Context, q webhook.HourlyQuery,
) (webhook.HourlyPage, error) {
	page, err := s.Store.HourlyStatistics(ctx, q)
	if len(page.Hours) > 1 {
		page.Hours = page.Hours[:1]
	}
	return page, err
}

// readsAttempts answers with attempts that are not wanted.
type readsAttempts struct{ webhook.Store }

func (s readsAttempts) Deliveries(
	ctx context.Context, q webhook.DeliveryQuery,
) ([]webhook.Delivery, error) {
	q.WithoutAttempts = false
	return s.Store.Deliveries(ctx, q)
}

// countsStored makes the figures of the deliveries that are stored.
type countsStored struct{ webhook.Store }

func (s countsStored) Statistics(
	ctx context.Context, q webhook.StatisticsQuery,
) (webhook.Statistics, error) {
	var f webhook.Statistics
	found, err := s.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: q.OrganizationID,
		SubscriptionID: q.SubscriptionID, Limit: 1_000})
	for i := range found {
		for j := range found[i].Attempts {
			f.Count(&webhook.Settlement{
				Lease: webhook.Lease{DeliveryID: found[i].ID}, Status: found[i].Status,
				Attempt: &found[i].Attempts[j],
			})
		}
		if found[i].Status == webhook.StatusCancelled {
			f.Cancelled++
		}
	}
	return f, err
}

type totalsOfAll struct{ webhook.Store }

func (s totalsOfAll) Totals(
	ctx context.Context, now time.Time, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	q.AllOrganizations = true
	return s.Store.Totals(ctx, now, q)
}

type hidesMore struct{ webhook.Store }

func (s hidesMore) Totals(
	ctx context.Context, now time.Time, q webhook.TotalsQuery,
) (webhook.Totals, error) {
	t, err := s.Store.Totals(ctx, now, q)
	t.MoreUnfinished = false
	return t, err
}

type revokesAgain struct{ webhook.Store }

func (s revokesAgain) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.APIKeys = revokingAgain{c.APIKeys}
	return c
}

type revokingAgain struct{ webhook.APIKeyStore }

func (s revokingAgain) RevokeAPIKey(
	ctx context.Context, now time.Time, organizationID, id, by string,
) (webhook.APIKey, error) {
	key, err := s.APIKeyStore.RevokeAPIKey(ctx, now, organizationID, id, by)
	key.RevokedAt, key.RevokedBy = now, by
	return key, err
}

type removesAnyAPIKey struct{ webhook.Store }

func (s removesAnyAPIKey) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.APIKeys = removingAny{c.APIKeys}
	return c
}

// removingAny judges by a time in a year which API keys have ended.
type removingAny struct{ webhook.APIKeyStore }

func (s removingAny) CreateAPIKey(
	ctx context.Context, key webhook.APIKey, hash webhook.APIKeyHash, most int,
) error {
	key.CreatedAt = key.CreatedAt.AddDate(1, 0, 0)
	return s.APIKeyStore.CreateAPIKey(ctx, key, hash, most)
}

// backlogOf answers another question about the backlog.
type backlogOf struct {
	webhook.Store
	change func(*webhook.BacklogQuery)
}

func ofAll(q *webhook.BacklogQuery)     { q.AllOrganizations = true }
func ofAnyTime(q *webhook.BacklogQuery) { q.Since = time.Time{} }

func (s backlogOf) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Backlog = changedBacklog{c.Backlog, s.change}
	return c
}

type changedBacklog struct {
	webhook.BacklogStore
	change func(*webhook.BacklogQuery)
}

func (s changedBacklog) HourlyBacklog(
	ctx context.Context, q webhook.BacklogQuery,
) ([]webhook.HourlyBacklog, error) {
	s.change(&q)
	return s.BacklogStore.HourlyBacklog(ctx, q)
}

// neverPrunes passes on a Prune at a time at which no process is old.
type neverPrunes struct{ webhook.Store }

func (s neverPrunes) Prune(ctx context.Context, _ time.Time, r webhook.PruneRequest) (int, error) {
	return s.Store.Prune(ctx, time.Time{}, r)
}

// listsByStart lists the processes in the order in which they started.
type listsByStart struct{ webhook.Store }

func (s listsByStart) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Processes = byStart{c.Processes}
	return c
}

type byStart struct{ webhook.ProcessStore }

func (s byStart) Processes(ctx context.Context, limit int) ([]webhook.Process, error) {
	list, err := s.ProcessStore.Processes(ctx, limit)
	slices.SortFunc(list, func(a, b webhook.Process) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, err
}
