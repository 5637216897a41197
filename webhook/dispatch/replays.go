package dispatch

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

// The bounds of a step of a replay. A process makes one step for each claim of the replay: see
// replayTurns.
const (
	// replayPlaces is how many steps a process makes at a time.
	replayPlaces = 4
	// replayStep is how many deliveries a step replays at most.
	replayStep = 200
	// replayAhead is how far ahead of the present they become due at most. So a replay that is stopped
	// comes to its end soon.
	replayAhead = 30 * time.Second
	// replayLease is how long a step is left to its process, and replayStepTime how long it takes at
	// most. The rest is for storing how far it came.
	replayLease    = time.Minute
	replayStepTime = 30 * time.Second
	// replayRetry is when a step is tried again that failed, and replayStuck when one is that was cut
	// off before it came to any delivery.
	replayRetry = 5 * time.Second
	replayStuck = replayStepTime
	// replayChanges is how often a change is tried that collides with those of others.
	replayChanges = 20
	// replayCountPage is how many deliveries one call of the store returns to be counted: enough to say
	// that there are more than 1000. replayCountPages is how many calls a count makes at most.
	replayCountPage  = 1001
	replayCountPages = 10
	// replayPatience is for how long no process may have gone on with a replay before it is taken to be
	// stalled: at least 15 s, and as many PollIntervals as this.
	replayPatience = 3
)

// StartReplay begins to replay the settled deliveries that fit the query, the oldest first, q.Limit
// of them at most if that is not 0. What [Dispatcher.ReplayAll] skips is skipped. It returns at
// once: the Run of this process or of another one goes on with it, also after a restart, until all
// are replayed or [Dispatcher.StopReplay] ends it. Organizations take turns. Deliveries become due
// at the rate of the options, and are replayed half a minute before that at most. Those that are
// settled after the call are left alone. by says who began it; it may be empty.
//
// StartReplay returns an [*event.ValidationError] if q.Status is not a settled one or empty, or the
// rate is below one an hour; a [*webhook.LimitError] if the organization has [webhook.MaxReplays]
// under way; [ErrNoReplays] if the store does not keep them; and an error if it has not told this
// process the time yet.
func (d *Dispatcher) StartReplay(
	ctx context.Context, q webhook.DeliveryQuery, options ReplayOptions, by string,
) (*webhook.Replay, error) {
	store := d.store.Capabilities().Replays
	if store == nil {
		return nil, ErrNoReplays
	}
	var p event.Problems
	if q.Status != "" && !q.Status.Settled() {
		p.Add("Status", "must be succeeded, dead or cancelled, or empty")
	}
	if !(options.PerSecond >= minReplayRate) || math.IsInf(options.PerSecond, 0) {
		p.Add("PerSecond", "must be at least one an hour")
	}
	if !storable(q.OrganizationID, q.EventID, q.EventType, q.SubscriptionID, by) {
		p.Add("Query", "must be valid UTF-8 without NUL")
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	d.clock.refresh(ctx)
	if err := d.clock.unknown(); err != nil {
		return nil, err
	}
	now := d.now()
	q.AttemptsBelow, q.WithoutAttempts, q.OldestFirst = 0, false, true
	r := &webhook.Replay{ID: webhook.NewReplayID(), OrganizationID: q.OrganizationID, Query: q,
		PerSecond: options.PerSecond, SettledBefore: options.SettledBefore, CreatedAt: now,
		CreatedBy: by, Until: now}
	if r.SettledBefore.IsZero() || r.SettledBefore.After(now) {
		r.SettledBefore = now
	}
	if err := store.CreateReplay(ctx, r); err != nil {
		return nil, err
	}
	select {
	case d.replayStarted <- struct{}{}:
	default: // the loop has not seen the last one yet
	}
	return r, nil
}

// FindReplay returns a replay that [Dispatcher.StartReplay] began, with how far it is. It returns
// ErrNotFound if the organization has no such replay.
func (d *Dispatcher) FindReplay(
	ctx context.Context, organizationID, id string,
) (*webhook.Replay, error) {
	store := d.store.Capabilities().Replays
	if store == nil {
		return nil, ErrNoReplays
	}
	if !storable(organizationID, id) {
		return nil, webhook.ErrNotFound
	}
	return store.FindReplay(ctx, organizationID, id)
}

// Replays returns the replays of the organization, the newest first: those that are under way, and
// the last ones that have ended. They are 61 at most.
func (d *Dispatcher) Replays(
	ctx context.Context, organizationID string,
) ([]*webhook.Replay, error) {
	store := d.store.Capabilities().Replays
	if store == nil {
		return nil, ErrNoReplays
	}
	if !storable(organizationID) {
		return nil, nil
	}
	return store.Replays(ctx, organizationID)
}

// StopReplay ends a replay and returns it. Deliveries that it has replayed already, those of the
// next half minute at most, still go out. by says who stopped it; empty means "a person". A replay
// that has ended stays as it is. StopReplay returns ErrNotFound if the organization has no such
// replay, and ErrConflict if other calls keep changing it.
func (d *Dispatcher) StopReplay(
	ctx context.Context, organizationID, id, by string,
) (*webhook.Replay, error) {
	if by == "" {
		by = "a person"
	}
	for n := 1; ; n++ {
		r, err := d.FindReplay(ctx, organizationID, id)
		if err != nil || r.Ended() {
			return r, err
		}
		d.clock.refresh(ctx)
		r.EndedAt, r.StoppedBy = d.now(), by
		err = d.store.Capabilities().Replays.UpdateReplay(ctx, r)
		switch {
		case err == nil:
			return r, nil
		case !errors.Is(err, webhook.ErrConflict) || n == replayChanges:
			return nil, err
		}
	}
}

// ReplayStalled reports whether a replay may be stalled: it is under way, and for a while before
// now, which is the time of [Dispatcher.Now], no process has gone on with it. That is 15 s, or
// three PollIntervals of this Dispatcher if they are longer. So true may also mean that the
// processes look for replays less often, or are busy with others. It is false for nil.
func (d *Dispatcher) ReplayStalled(r *webhook.Replay, now time.Time) bool {
	patience := max(15*time.Second, replayPatience*d.cfg.PollInterval)
	return r != nil && !r.Ended() && now.Sub(r.Until) > patience
}

// CountReplay counts, up to most, the deliveries that [Dispatcher.StartReplay] would replay. more says
// that there are more, or may be: it reads 10,010 deliveries at most, the oldest first.
func (d *Dispatcher) CountReplay(
	ctx context.Context, q webhook.DeliveryQuery, most int,
) (n int, more bool, err error) {
	return d.countReplay(ctx, q, time.Time{}, most)
}

// CountRemaining counts, up to most, the deliveries that a replay has still to replay: none if it has
// ended. more says that there are more, or may be: it reads 10,010 deliveries at most, also of those
// that were settled after the replay began.
func (d *Dispatcher) CountRemaining(
	ctx context.Context, r *webhook.Replay, most int,
) (n int, more bool, err error) {
	if r == nil {
		return 0, false, errors.New("webhook: CountRemaining: the replay is nil")
	}
	q := r.Query
	if q.Limit > 0 {
		q.Limit = int(max(int64(q.Limit)-r.Replayed, 0))
	}
	if r.Ended() || r.Query.Limit > 0 && q.Limit == 0 {
		return 0, false, nil
	}
	return d.countReplay(ctx, q, r.SettledBefore, most)
}

func (d *Dispatcher) countReplay(
	ctx context.Context, q webhook.DeliveryQuery, settledBefore time.Time, most int,
) (n int, more bool, err error) {
	wanted := most + 1
	if q.Limit > 0 {
		wanted = min(wanted, q.Limit)
	}
	options := ReplayOptions{SettledBefore: settledBefore}
	q.AttemptsBelow, q.WithoutAttempts, q.OldestFirst = MaxReplayed, true, true
	q.Limit = replayCountPage // also if fewer are wanted: those settled later may come first
	for range replayCountPages {
		found, err := d.Deliveries(ctx, q)
		if err != nil {
			return 0, false, err
		}
		for i := range found {
			if options.includes(&found[i]) {
				n++
			}
		}
		if n >= wanted || len(found) < q.Limit {
			n = min(n, wanted)
			return min(n, most), n > most, nil
		}
		q.After = found[len(found)-1].ID
	}
	return min(n, most), true, nil
}

// replayTurns lets the organizations take turns with steps of their replays: in a round each has one,
// and no organization has more than one at a time. So a replay whose steps take long, because few of
// many deliveries fit, holds up those of its own organization only.
type replayTurns struct {
	// had are the organizations that have had their turn in this round, and underWay those whose step
	// goes on, which are among them.
	had      []string
	underWay map[string]bool
}

// maxReplayTurns bounds a round: a store is told whom to skip.
const maxReplayTurns = 1000

func (t *replayTurns) begin(organizationID string) {
	if len(t.had) >= maxReplayTurns {
		t.nextRound()
	}
	t.had = append(t.had, organizationID)
	t.underWay[organizationID] = true
}

// nextRound begins another round, and reports whether that gives any organization a turn.
func (t *replayTurns) nextRound() bool {
	before := len(t.had)
	t.had = slices.DeleteFunc(t.had, func(id string) bool { return !t.underWay[id] })
	return len(t.had) < before
}

// endedStep is what a step of an organization's replay came to.
type endedStep struct {
	organizationID string
	err            error
}

// replayLoop goes on with replays, whichever process began them.
func (r *run) replayLoop(ctx context.Context, store webhook.ReplayStore) {
	d := r.d
	failures := outage.NewLog(d.cfg.Logger, "replay deliveries")
	var stuck outage.Throttle
	turns := replayTurns{underWay: make(map[string]bool)}
	ended := make(chan endedStep, replayPlaces)
	defer func() {
		for range turns.underWay {
			<-ended
		}
	}()
	stepFailed := false
	for {
		wait := d.cfg.PollInterval
		if len(turns.underWay) < replayPlaces {
			claimed, err := d.claimReplay(ctx, store, &turns)
			if claimed != nil {
				turns.begin(claimed.OrganizationID)
				go func() {
					err := d.replayStep(ctx, store, claimed, &stuck)
					ended <- endedStep{claimed.OrganizationID, err}
				}()
			}
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				wait = failures.Failed(ctx, err)
			case claimed != nil:
				continue
			case !stepFailed:
				// That there is nothing to claim is no success after a step that failed: its replay waits to
				// be tried again, or for the end of its lease.
				failures.Over(ctx)
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case step := <-ended:
			delete(turns.underWay, step.organizationID)
			if stepFailed = step.err != nil; !stepFailed {
				failures.Over(ctx)
			} else if ctx.Err() == nil {
				failures.Failed(ctx, step.err)
			}
		case <-d.replayStarted:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// claimReplay returns a replay for a step of it, nil if there is none to go on with.
func (d *Dispatcher) claimReplay(
	ctx context.Context, store webhook.ReplayStore, turns *replayTurns,
) (*webhook.Replay, error) {
	d.clock.refresh(ctx)
	if err := d.clock.unknown(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for now := d.now(); ; {
		r, err := store.ClaimReplay(ctx, now, now.Add(replayLease), turns.had)
		if r != nil || err != nil || !turns.nextRound() {
			return r, err
		}
	}
}

// replayStep replays the next deliveries, and stores how far the replay is. stuck bounds the lines of
// the log about replays that make no progress.
func (d *Dispatcher) replayStep(
	ctx context.Context, store webhook.ReplayStore, r *webhook.Replay, stuck *outage.Throttle,
) error {
	interval := time.Duration(float64(time.Second) / r.PerSecond)
	now := d.now()
	due := now
	if next := r.LastDue.Add(interval); !r.LastDue.IsZero() && next.After(now) {
		due = next
	}
	q := r.Query
	q.OldestFirst = true // one that an earlier version began has not set it
	ahead := now.Add(replayAhead).Sub(due).Seconds() * r.PerSecond
	q.Limit = 1 + int(min(max(ahead, 0), replayStep-1))
	bounded, cancel := context.WithTimeout(ctx, replayStepTime)
	defer cancel()
	if r.Query.Limit > 0 {
		q.Limit = min(q.Limit, r.Query.Limit-int(r.Replayed))
	}
	progress := ReplayProgress{after: q.After}
	var err error
	if q.Limit > 0 { // 0 would be no limit
		progress, err = d.replayFrom(bounded, q, ReplayOptions{PerSecond: r.PerSecond,
			SettledBefore: r.SettledBefore}, due)
	}
	cutOff := err != nil && bounded.Err() != nil
	from := r.Query.After
	r.Query.After = progress.after
	if n := progress.Replayed; n > 0 {
		r.Replayed += int64(n)
		r.LastDue = due.Add(time.Duration(float64(n-1) / r.PerSecond * float64(time.Second)))
	}
	d.clock.refresh(ctx)
	switch now := d.now(); {
	case r.Query.Limit > 0 && r.Replayed >= int64(r.Query.Limit):
		r.EndedAt = now
	case cutOff && ctx.Err() == nil && r.Query.After == from:
		// The store takes longer than a step for one page, and may the next time.
		if unlogged, ok := stuck.Allow(time.Now()); ok {
			d.cfg.Logger.WarnContext(ctx, "webhook: a replay makes no progress", "replay_id", r.ID,
				"organization_id", r.OrganizationID, "error", err, "unlogged", unlogged)
		}
		r.Until, err = now.Add(replayStuck), nil
	case cutOff:
		r.Until, err = now, nil
	case err != nil:
		r.Until = now.Add(replayRetry)
	case progress.Replayed < q.Limit:
		r.EndedAt = now
	default:
		r.Until = now
		if next := r.LastDue.Add(interval - replayAhead); next.After(now) {
			r.Until = next
		}
	}
	// Also if the run ends: what was replayed is then counted.
	storing, cancelStoring := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancelStoring()
	return errors.Join(err, saveReplay(storing, store, r, from))
}

// saveReplay stores what a step has done to a replay that had come to from before. If a person has
// stopped it meanwhile, it stays stopped.
func saveReplay(
	ctx context.Context, store webhook.ReplayStore, r *webhook.Replay, from webhook.DeliveryID,
) error {
	for n := 1; ; n++ {
		err := store.UpdateReplay(ctx, r)
		if !errors.Is(err, webhook.ErrConflict) || n == replayChanges {
			return err
		}
		stored, err := store.FindReplay(ctx, r.OrganizationID, r.ID)
		switch {
		case errors.Is(err, webhook.ErrNotFound):
			return nil
		case err != nil:
			return err
		case !stored.Ended() || stored.Query.After != from:
			return nil // the lease has ended, and another process goes on with it
		}
		r.EndedAt, r.StoppedBy, r.Revision = stored.EndedAt, stored.StoppedBy, stored.Revision
	}
}
