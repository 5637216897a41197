package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

const (
	// tailReads and tailReadsOfOne are how many pages are read from the store at once, of all
	// organizations and of one.
	tailReads      = 8
	tailReadsOfOne = 2
	// tailSpacing is the least time between two queries for news. What this process stores brings
	// the next one forward up to that.
	tailSpacing = 50 * time.Millisecond
	// heldLogged is after how long an open transaction that keeps records back is logged, and how
	// often then.
	heldLogged = time.Minute
)

// tails is what the readers of one kind of tails share. While there are readers that wait or have
// waited, one goroutine asks the store for news and tells those that the news is for. It ends with
// the last of them.
type tails struct {
	from     webhook.Store
	results  bool // those of results, and otherwise of what was emitted
	limits   TailLimits
	interval time.Duration
	logger   *slog.Logger
	reads    chan struct{}
	stored   chan struct{} // this process has stored something

	mu            sync.Mutex
	n             int // readers
	organizations map[string]*tailedOrganization
	stop          context.CancelFunc // of the goroutine; nil if there is none
	poll          *tailPoll          // that goroutine; nil as stop is
	// at is how far the news is known, if known is set, and held what is kept back after that.
	at    webhook.Position
	known bool
	held  webhook.TailHeld
}

// tailedOrganization has the readers of one organization: by subscription, and under "" those of the
// whole organization.
type tailedOrganization struct {
	readers map[string]map[*TailReader]struct{}
	n       int
	reads   chan struct{}
}

func newTails(from webhook.Store, cfg *Config, results bool) *tails {
	return &tails{
		from: from, results: results, limits: cfg.Tails, interval: cfg.PollInterval, logger: cfg.Logger,
		reads:  make(chan struct{}, tailReads),
		stored: make(chan struct{}, 1), organizations: make(map[string]*tailedOrganization),
	}
}

// store returns the part of the store that can be read as a tail, or ErrNoTail.
func (t *tails) store() (webhook.TailStore, error) {
	if store := t.from.Capabilities().Tail; store != nil {
		return store, nil
	}
	return nil, ErrNoTail
}

// limitTails is LimitError.Limit of readers.
const limitTails = "tails"

func (t *tails) open(q webhook.TailQuery) (*TailReader, error) {
	store, err := t.store()
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.organizations[q.OrganizationID]
	switch {
	case o != nil && o.n >= t.limits.PerOrganization:
		return nil, &webhook.LimitError{Limit: limitTails, Max: t.limits.PerOrganization,
			RetryAfter: time.Second}
	case t.n >= t.limits.All:
		return nil, &webhook.LimitError{Limit: limitTails, Max: t.limits.All, RetryAfter: time.Second}
	case o == nil:
		o = &tailedOrganization{readers: make(map[string]map[*TailReader]struct{}),
			reads: make(chan struct{}, tailReadsOfOne)}
		t.organizations[q.OrganizationID] = o
	}
	r := &TailReader{tails: t, store: store, query: q, organization: o, news: make(chan struct{}, 1)}
	if o.readers[q.SubscriptionID] == nil {
		o.readers[q.SubscriptionID] = make(map[*TailReader]struct{})
	}
	o.readers[q.SubscriptionID][r] = struct{}{}
	o.n++
	t.n++
	return r, nil
}

// startPolling begins to ask for news, unless that goes on already.
func (t *tails) startPolling(store webhook.TailStore) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.poll != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // the readers come and go
	t.poll, t.stop, t.known = &tailPoll{t, store}, cancel, false
	go t.poll.run(ctx)
}

func (t *tails) close(r *TailReader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	o, id := r.organization, r.query.SubscriptionID
	if delete(o.readers[id], r); len(o.readers[id]) == 0 {
		delete(o.readers, id)
	}
	if o.n--; o.n == 0 {
		delete(t.organizations, r.query.OrganizationID)
	}
	if t.n--; t.n == 0 && t.poll != nil {
		t.stop()
		t.poll, t.stop, t.known, t.held = nil, nil, false, webhook.TailHeld{}
	}
}

// enter waits for a place to read a page. The returned function frees it.
func (o *tailedOrganization) enter(ctx context.Context, t *tails) (leave func(), err error) {
	select {
	case o.reads <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case t.reads <- struct{}{}:
	case <-ctx.Done():
		<-o.reads
		return nil, ctx.Err()
	}
	return func() {
		<-t.reads
		<-o.reads
	}, nil
}

// wake brings the next query for news forward.
func (t *tails) wake() {
	select {
	case t.stored <- struct{}{}:
	default:
	}
}

func (t *tails) heldNow() webhook.TailHeld {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held
}

// tailPoll is the goroutine that asks for news.
type tailPoll struct {
	*tails
	store webhook.TailStore
}

// run asks for news until there is no reader.
func (p *tailPoll) run(ctx context.Context) {
	failing := outage.NewLog(p.logger, "tail")
	var heldAt time.Time
	for ctx.Err() == nil {
		more, err := p.ask(ctx)
		wait := p.interval
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = failing.Failed(ctx, err)
		default:
			failing.Over(ctx)
		}
		heldAt = p.logHeld(ctx, heldAt)
		if !more {
			p.pause(ctx, wait, err == nil)
		}
	}
}

// pause waits for the next query. What this process stores shortens it, unless the store fails.
func (p *tailPoll) pause(ctx context.Context, wait time.Duration, early bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	stored := p.stored
	if !early {
		stored = nil
	}
	select {
	case <-timer.C:
		return
	case <-ctx.Done():
		return
	case <-stored:
		timer.Reset(min(wait, tailSpacing))
	}
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ask asks for news once. more says that there may be more at once.
func (p *tailPoll) ask(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	p.mu.Lock()
	at, known := p.at, p.known
	p.mu.Unlock()
	if !known {
		end, err := p.end(ctx)
		if err == nil {
			p.begin(end)
		}
		return false, err
	}
	news, err := p.store.TailNews(ctx, at)
	if err == nil {
		p.tell(&news)
	} else if errors.Is(err, webhook.ErrPosition) {
		p.forget()
	}
	return news.More, err
}

// end returns the end of what can be read.
func (p *tailPoll) end(ctx context.Context) (webhook.TailEnd, error) {
	if p.results {
		return p.store.ResultsEnd(ctx)
	}
	return p.store.TailEnd(ctx)
}

// begin begins with the end of what can be read. Readers that had read before may have missed
// something until then.
func (p *tailPoll) begin(end webhook.TailEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poll != p { // it has ended
		return
	}
	p.at, p.known, p.held = end.Position, true, end.TailHeld
	for _, o := range p.organizations {
		for _, readers := range o.readers {
			for r := range readers {
				r.signal(0)
			}
		}
	}
}

// forget begins again: a database that was restored does not know the position.
func (p *tailPoll) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poll == p {
		p.known = false
	}
}

// tell signals the readers that the news is for.
func (p *tailPoll) tell(news *webhook.TailNews) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poll != p {
		return
	}
	for _, key := range news.Subscriptions {
		o := p.organizations[key.OrganizationID]
		if o == nil {
			continue
		}
		for _, id := range [...]string{key.SubscriptionID, ""} {
			for r := range o.readers[id] {
				r.signal(p.at)
			}
		}
	}
	p.at, p.held = news.Next, news.TailHeld
}

// signal tells the reader that there may be something for it after the position.
func (r *TailReader) signal(quiet webhook.Position) {
	if r.unread {
		return
	}
	r.unread, r.quiet = true, quiet
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// logHeld logs that an open transaction keeps records back, and returns when it was logged last.
func (t *tails) logHeld(ctx context.Context, last time.Time) time.Time {
	since := t.heldNow().HeldSince
	at := time.Now()
	if since.IsZero() || at.Sub(since) < heldLogged || at.Sub(last) < heldLogged {
		return last
	}
	t.logger.WarnContext(ctx, "webhook: an open transaction keeps back the readers of tails",
		"since", since)
	return at
}
