package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

// run is one call of Run.
type run struct {
	d *Dispatcher
	// attemptCtx is the context of attempts: it ends Config.DrainTimeout after that of Run. storeCtx
	// is that of storing results, and ends settleTimeout later.
	attemptCtx, storeCtx context.Context
	results              chan result
	// hookResults are what Hooks.Attempted is told: by a goroutine of its own, so that a hook that
	// takes its time does not keep results from being stored.
	hookResults chan Result
	// pendingHooks counts the calls of the hook that are to come, or under way.
	pendingHooks atomic.Int64
	// stateChanges are the endpoints' states that results change: pendingStateChanges counts those
	// under way, and stateSlots has a place for each that is being stored.
	stateChanges        sync.WaitGroup
	pendingStateChanges atomic.Int64
	stateSlots          chan struct{}
	drainWaiters        drainWaiters
	// stopping says that ctx has ended; requeued and leased count what is left over since.
	stopping         atomic.Bool
	requeued, leased atomic.Int64
	failure          atomic.Pointer[error] // why some are left to their lease
	// forDrain says that the run is that of a call of Drain.
	forDrain bool
	// ended is closed when the run is over.
	ended chan struct{}
}

// maxHookResults is how many calls of a hook may wait before results do.
const maxHookResults = 4096

// settleTimeout is how long the results of cancelled attempts may take to store.
const settleTimeout = 5 * time.Second

// Run delivers until ctx is cancelled. Then it claims nothing more, waits up to Config.DrainTimeout
// for the attempts in flight and cancels the others, requeues every delivery that it did not
// finish, and returns nil. It logs how many deliveries it requeued: they wait in the store for the
// next Run, of this process or another. A program that ends has to wait until Run has returned, or
// the results of its last attempts are lost, and the attempts repeated. If a channel's Send does not
// return when its context is cancelled, neither does Run. A store that fails does not end Run: it is
// tried again, with backoff.
//
// If the store still fails 5 seconds after the last attempt has ended, Run returns an
// [*UnfinishedError]: deliveries whose results it could not store are claimed again after their
// lease. A second Run at the same time returns ErrRunning; while a [Dispatcher.Drain] does the work,
// Run waits for its end. After Run has returned it can be called again.
func (d *Dispatcher) Run(ctx context.Context) error {
	for {
		err := d.newRun().run(ctx)
		r := d.running.Load()
		if !errors.Is(err, ErrRunning) || r != nil && !r.forDrain {
			return err
		}
		if r == nil {
			continue // it has just ended
		}
		select {
		case <-r.ended:
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *Dispatcher) newRun() *run {
	return &run{
		d:          d,
		results:    make(chan result, maxSettle),
		stateSlots: make(chan struct{}, maxStates),
		ended:      make(chan struct{}),
	}
}

// run is Run. It is called once.
func (r *run) run(ctx context.Context) error {
	d := r.d
	if !d.running.CompareAndSwap(nil, r) {
		return ErrRunning
	}
	defer func() {
		d.running.Store(nil)
		close(r.ended)
	}()
	hooks := &d.cfg.Hooks
	if hooks.Attempted != nil {
		r.hookResults = make(chan Result, maxHookResults)
	} else {
		r.hookResults = make(chan Result)
	}
	ctx = hookStart(ctx, d, "RunStart", hooks.RunStart, RunStart{Drain: r.forDrain})
	var cancelAttempts, cancelStoring context.CancelFunc
	r.attemptCtx, cancelAttempts = context.WithCancel(context.WithoutCancel(ctx))
	defer cancelAttempts()
	r.storeCtx, cancelStoring = context.WithCancel(context.WithoutCancel(ctx))
	defer cancelStoring()

	d.queue.Start(func() { go r.workLoop() })
	settled := make(chan struct{})
	go func() { r.settleLoop(); close(settled) }()
	hooksDone := make(chan struct{})
	go func() { r.hookLoop(); close(hooksDone) }()
	var loops sync.WaitGroup
	loops.Go(func() { r.claimLoop(ctx) })
	loops.Go(func() { r.pruneLoop(ctx) })
	loops.Go(func() { r.permitLoop(ctx) })
	if !r.forDrain {
		loops.Go(func() { d.logStart(ctx) })
		if replays := d.store.Capabilities().Replays; replays != nil {
			loops.Go(func() { r.replayLoop(ctx, replays) })
		}
		if backlog := d.store.Capabilities().Backlog; backlog != nil {
			loops.Go(func() { r.sampleLoop(ctx, backlog) })
		}
	}
	if listener := d.store.Capabilities().Notifications; listener != nil {
		loops.Go(func() { r.listenLoop(ctx, listener) })
	}
	stopExtending := make(chan struct{})
	extended := make(chan struct{})
	go func() { r.extendLoop(stopExtending); close(extended) }()
	var beats *heartbeat
	var beating sync.WaitGroup
	stopBeating := make(chan struct{})
	if processes := d.store.Capabilities().Processes; processes != nil && !r.forDrain {
		beats = r.newHeartbeat(processes)
		beating.Go(func() { beats.loop(ctx, stopBeating) })
	}

	<-ctx.Done()
	r.stopping.Store(true)
	giveUpAttempts := time.AfterFunc(d.cfg.DrainTimeout, cancelAttempts)
	defer giveUpAttempts.Stop()
	giveUpStoring := time.AfterFunc(d.cfg.DrainTimeout+settleTimeout, cancelStoring)
	defer giveUpStoring.Stop()
	unstarted := d.queue.Stop()
	hookEnd(ctx, d, "RunDrain", hooks.RunDrain, RunDrain{Unstarted: len(unstarted)})
	for _, t := range unstarted {
		r.results <- requeue(t)
	}
	loops.Wait()
	d.queue.WaitWorkers()
	close(r.results)
	<-settled
	close(r.hookResults)
	<-hooksDone
	r.stateChanges.Wait()
	close(stopExtending)
	<-extended
	close(stopBeating)
	beating.Wait()
	if beats != nil {
		beats.remove(ctx)
	}
	d.logHeldBack(ctx, true)
	end := r.logEnd(ctx)
	hookEnd(ctx, d, "RunEnd", hooks.RunEnd, end)
	return end.Err
}

// logEnd logs and returns what the run leaves over.
func (r *run) logEnd(ctx context.Context) RunEnd {
	end := RunEnd{Requeued: int(r.requeued.Load()), Leased: int(r.leased.Load())}
	level := slog.LevelInfo
	if end.Leased > 0 {
		level = slog.LevelWarn
		end.Err = &UnfinishedError{
			Requeued: end.Requeued, Leased: end.Leased, Err: *r.failure.Load(),
		}
	}
	if !r.forDrain || end.Requeued+end.Leased > 0 {
		attributes := []slog.Attr{slog.Int("requeued", end.Requeued), slog.Int("leased", end.Leased)}
		if end.Leased == 0 { // or the store fails, and would be waited for
			summary, _ := r.d.summary(context.WithoutCancel(ctx), maxSummaryTime)
			attributes = append(attributes, summary...)
		}
		r.d.cfg.Logger.LogAttrs(ctx, level, "webhook: stopped", attributes...)
	}
	return end
}

// requeueRejected returns deliveries to the store that the queue rejected, because they were
// claimed while Run ended.
func (r *run) requeueRejected(ctx context.Context, rejected []*task) {
	if err := r.d.requeueAll(ctx, rejected); err != nil {
		r.d.leaveToLease(ctx, r, rejected, err)
		return
	}
	r.requeued.Add(int64(len(rejected)))
}

// requeueByWorkers queues deliveries again that the store has not taken back, so that a worker
// requeues them: its result is stored as soon as the store works, or counted when Run ends without
// it.
func (d *Dispatcher) requeueByWorkers(ctx context.Context, tasks []*task, err error) {
	r := d.running.Load()
	items := make([]*fairqueue.Item[*task], len(tasks))
	for i, t := range tasks {
		t.requeueOnly = true
		items[i] = &t.item
	}
	if rejected := d.push(items, d.queue.Push); len(rejected) > 0 {
		d.leaveToLease(ctx, r, rejected, err)
	}
}

// leaveToLease leaves deliveries to the end of their lease that came too late for the run, which is
// nil if it had ended before they came.
func (d *Dispatcher) leaveToLease(ctx context.Context, r *run, rejected []*task, err error) {
	d.cfg.Logger.WarnContext(ctx, "webhook: deliveries wait for their lease to end",
		"deliveries", len(rejected), "error", err)
	if r != nil {
		r.countLeased(len(rejected), err)
	}
}

// countLeased notes deliveries that stay claimed until their lease ends.
func (r *run) countLeased(deliveries int, err error) {
	r.failure.Store(&err)
	r.leased.Add(int64(deliveries))
}

// claimLoop asks the store for due deliveries whenever there is room and reason.
func (r *run) claimLoop(ctx context.Context) {
	d := r.d
	d.claims.beginLoop()
	defer d.claims.endLoop()
	failures := outage.NewLog(d.cfg.Logger, "claim deliveries")
	pace := newClaimPace(d.cfg.PollInterval)
	for {
		d.claims.beginRound()
		d.clock.refresh(r.attemptCtx)
		if err := d.clock.unknown(); err != nil {
			if _, ok := r.waitToClaim(ctx, failures.Failed(ctx, err), true); !ok {
				return
			}
			continue
		}
		for _, t := range d.queue.RescheduleAll() {
			r.results <- requeue(t)
		}
		d.logHeldBack(ctx, false)
		wait := d.cfg.PollInterval
		// After an outage longer than a lease, what this process still holds
		// must not be claimed by itself.
		if err := r.extend(ctx, d.leases.expiring(d.now())); err != nil {
			if ctx.Err() != nil {
				return
			}
			if _, ok := r.waitToClaim(ctx, failures.Failed(ctx, err), true); !ok {
				return
			}
			continue
		}
		drains := r.drainWaiters.all()
		// Before the claim, which finds what these requeue or emit.
		quiet := !d.leases.any() && r.nothingPending()
		if b := d.queue.PlanClaim(); b.Limit > 0 {
			local := time.Now()
			at := d.clock.fromLocal(local)
			// Not with ctx: a claim that is cut off may have been made, and what
			// it took would wait for the end of its lease.
			tasks, err := r.claim(r.attemptCtx, at, claimRequest(at.Add(d.cfg.Lease), b))
			if ctx.Err() != nil {
				for _, t := range d.push(newItems(local, tasks), d.queue.Push) {
					r.results <- requeue(t)
				}
				return
			}
			if err != nil {
				d.queue.AbandonClaim()
				wait = failures.Failed(ctx, err)
			} else {
				failures.Over(ctx)
				d.claims.recordAnswer()
				items := newItems(local, tasks)
				d.queue.RecordClaim(items, b)
				for _, t := range d.push(items, d.queue.Push) { // Run has been stopped meanwhile
					r.results <- requeue(t)
				}
				wait = pace.afterClaim(len(tasks), b.Limit)
				if len(tasks) == 0 && quiet && b.BufferEmpty && d.idle() {
					r.drainWaiters.release(drains)
				}
			}
		} else {
			d.claims.recordAnswer() // there is no room for what a claim would bring
		}
		signalled, ok := r.waitToClaim(ctx, wait, failures.Ongoing())
		if !ok {
			return
		}
		pace.waited(signalled)
	}
}

// listenLoop claims when the store hears of deliveries that others enqueued.
func (r *run) listenLoop(ctx context.Context, listener webhook.Listener) {
	failures := outage.NewLog(r.d.cfg.Logger, "listen for deliveries")
	for {
		err := listener.Listen(ctx, func() {
			failures.Over(ctx)
			r.d.queue.SignalClaim()
		})
		if ctx.Err() != nil {
			return
		}
		// Polling goes on meanwhile.
		if errors.Is(err, errors.ErrUnsupported) {
			r.d.cfg.Logger.WarnContext(ctx, "webhook: the store cannot listen, polling only",
				"poll_interval", r.d.cfg.PollInterval, "error", err)
			return
		}
		if !sleep(ctx, failures.Failed(ctx, err)) {
			return
		}
	}
}

// maxClaim bounds one claim, and maxSettle one settlement of many results.
const (
	maxClaim  = 512
	maxSettle = 512
)

// waitToClaim waits for the time to pass or, unless the store fails, for a reason to claim earlier,
// which it reports. ok is false when ctx ended.
func (r *run) waitToClaim(
	ctx context.Context, wait time.Duration, failing bool,
) (signalled, ok bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	claimSignal := r.d.queue.ClaimSignal()
	if failing {
		claimSignal = nil
	}
	select {
	case <-ctx.Done():
		return false, false
	case <-timer.C:
		return false, true
	case <-claimSignal:
		return true, true
	}
}

// settleLoop stores results, as many as there are at a time, until the channel
// is closed. It tries again when the store fails, until r.storeCtx ends.
func (r *run) settleLoop() {
	failures := outage.NewLog(r.d.cfg.Logger, "store results")
	batch := make([]result, 0, maxSettle)
	for res := range r.results {
		batch = append(batch[:0], res)
		runtime.Gosched() // results that are about to come join this batch
		for len(batch) < maxSettle {
			more := false
			select {
			case res, more = <-r.results:
			default:
			}
			if !more {
				break
			}
			batch = append(batch, res)
		}
		if err := r.settle(batch, failures); err != nil {
			r.countLeased(len(batch), err)
		}
		clear(batch)
	}
}

func (r *run) settle(batch []result, failures *outage.Log) error {
	d := r.d
	settlements := make([]webhook.Settlement, len(batch))
	held := make([]webhook.Lease, len(batch))
	for i := range batch {
		settlements[i] = batch[i].settlement
		held[i] = batch[i].settlement.Lease
	}
	defer func() {
		d.leases.release(held)
		for i := range batch {
			if onSettled := batch[i].onSettled; onSettled != nil {
				onSettled()
			}
		}
		r.claimIfDrained()
	}()
	d.leases.beginSettling(held)
	for {
		refused, err := d.settle(r.storeCtx, settlements)
		if err == nil {
			failures.Over(r.storeCtx)
			d.reportLeasesLost(r.storeCtx, d.leases.lostMeanwhile(refused))
			r.afterSettle(r.storeCtx, batch, refused)
			return nil
		}
		if !sleep(r.storeCtx, failures.Failed(r.storeCtx, err)) {
			return err
		}
	}
}

// afterSettle does what follows from results that are stored.
func (r *run) afterSettle(ctx context.Context, batch []result, refused []webhook.Lease) {
	d := r.d
	local := time.Now()
	at := d.clock.fromLocal(local)
	turns := false // another delivery of a line may have its turn
	for i := range batch {
		s := &batch[i].settlement
		isRefused := len(refused) > 0 && slices.Contains(refused, s.Lease)
		if isRefused {
			if s.Attempt != nil && !d.shownLately(s.Attempt) { // others may have delivered there since
				batch[i].gone, batch[i].failingSince = false, time.Time{}
			}
		}
		if d.mayChangeState(&batch[i]) {
			r.changeState(ctx, batch[i]) // a copy: the batch is used again
		}
		if isRefused {
			if s.Attempt != nil { // or it was given back, in case that it was still this process's
				d.logDelivery(ctx, &d.lines.late, batch[i].task, s.Attempt)
			}
			continue
		}
		d.logIfDead(ctx, batch[i].task, s)
		turns = turns || batch[i].task.Ordered && s.Status.Settled()
		if s.Attempt == nil && s.Status == webhook.StatusPending && r.stopping.Load() {
			r.requeued.Add(1)
		}
		if wait, ok := claimWait(s, at, d.cfg.PollInterval); ok {
			d.queue.ClaimAt(local.Add(wait))
		}
		if s.Attempt != nil && d.cfg.Hooks.Attempted != nil {
			r.pendingHooks.Add(1)
			r.hookResults <- hookResult(batch[i].task, s)
		}
	}
	if turns {
		d.queue.SignalClaim()
	}
}

// changeState has the state of the endpoint changed as a result says, if it does.
func (r *run) changeState(ctx context.Context, res result) {
	r.pendingStateChanges.Add(1)
	r.stateChanges.Go(func() {
		// As many at a time as one call stores: what others store must not wait behind thousands.
		r.stateSlots <- struct{}{}
		r.d.changeState(ctx, &res)
		<-r.stateSlots
		r.pendingStateChanges.Add(-1)
		r.claimIfDrained()
	})
}

// shownLately reports whether what an attempt has shown of its endpoint counts although the store
// refuses the result, because the delivery was cancelled or claimed by another process. A probe needs
// no such bound: if another process has made one since, the state has another revision.
func (d *Dispatcher) shownLately(attempt *webhook.Attempt) bool {
	ended := attempt.StartedAt.Add(attempt.Duration)
	return d.clock.latest().Sub(ended) < d.cfg.Lease
}

// extendLoop extends the leases of what this process holds.
func (r *run) extendLoop(stop <-chan struct{}) {
	d := r.d
	failures := outage.NewLog(d.cfg.Logger, "extend leases")
	ticker := time.NewTicker(d.cfg.Lease / 4)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		err := r.extend(r.storeCtx, d.leases.toExtend(d.now(), d.cfg.Lease))
		if err != nil {
			failures.Failed(r.storeCtx, err)
			continue
		}
		failures.Over(r.storeCtx)
	}
}

// extend moves the end of the leases a whole Config.Lease away.
func (r *run) extend(ctx context.Context, leases []webhook.Lease) error {
	if len(leases) == 0 {
		return nil
	}
	until := r.d.now().Add(r.d.cfg.Lease)
	ctx, cancel := context.WithTimeout(ctx, r.d.cfg.Lease/4)
	defer cancel()
	lost, err := r.d.store.Extend(ctx, until, leases)
	if err != nil {
		return err
	}
	r.d.reportLeasesLost(ctx, r.d.leases.recordExtended(leases, lost, until))
	r.d.extendProbes(ctx, leases, until)
	return nil
}

// pruneInterval is how often old deliveries are looked for, the first time after firstPruneAfter,
// and more often if the retention is short: see pruneEvery. pruneBatch is how many go in one call
// of the store, and maxPruneGap the longest time between two calls as long as there are more.
const (
	firstPruneAfter = 5 * time.Second
	pruneInterval   = time.Minute
	pruneBatch      = 1000
	maxPruneGap     = 100 * time.Millisecond
)

// pruneEvery is how often old deliveries are looked for: ten times within the shorter retention, so
// that little more is kept than it says.
func pruneEvery(r Retention) time.Duration {
	return min(max(min(r.Succeeded, r.Dead)/10, maxPruneGap), pruneInterval)
}

// pruneRequest says what is older than the retention at a time.
func (r Retention) pruneRequest(at time.Time) webhook.PruneRequest {
	return webhook.PruneRequest{
		SucceededBefore: retentionCutoff(at, r.Succeeded),
		DeadBefore:      retentionCutoff(at, r.Dead),
		Limit:           pruneBatch,
	}
}

// pruneLoop removes what is older than the retention says, and has what has expired become dead.
func (r *run) pruneLoop(ctx context.Context) {
	d := r.d
	failures := outage.NewLog(d.cfg.Logger, "prune deliveries")
	expiring := outage.NewLog(d.cfg.Logger, "find what has expired")
	repairs := outage.NewLog(d.cfg.Logger, "look for times far ahead")
	var expireAgain time.Time // not before, after a failure
	// Repair passes over all endpoints of which something waits, so not before each batch of Prune.
	var repairAgain time.Time
	every := pruneEvery(d.cfg.Retention)
	wait := min(firstPruneAfter, every)
	for sleep(ctx, wait) {
		if d.clock.unknown() != nil {
			continue // claims ask for it
		}
		if !time.Now().Before(repairAgain) {
			again := pruneInterval / 2 // or every second call of Prune would come too early
			switch err := r.repair(ctx); {
			case ctx.Err() != nil:
				return
			case err != nil: // pruning goes on
				again = max(repairs.Failed(ctx, err), pruneInterval)
			default:
				repairs.Over(ctx)
			}
			repairAgain = time.Now().Add(again)
		}
		began := time.Now()
		moreExpired := false
		if !began.Before(expireAgain) {
			var err error
			moreExpired, err = r.expire(r.attemptCtx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil: // pruning goes on
				moreExpired = false
				expireAgain = time.Now().Add(max(expiring.Failed(ctx, err), pruneInterval))
			default:
				expiring.Over(ctx)
			}
		}
		at := d.now()
		n, err := d.prune(ctx, at, d.cfg.Retention.pruneRequest(at))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = max(failures.Failed(ctx, err), pruneInterval)
		case n >= pruneBatch || moreExpired:
			failures.Over(ctx)
			// Others have the store half of the time at least, and pruning keeps up with whatever
			// they can put in.
			wait = min(time.Since(began), maxPruneGap)
		default:
			failures.Over(ctx)
			wait = every
		}
	}
}

// sleep returns false if ctx ended before the time was over.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
