package template

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A Gate bounds how many renders run at once, and with them the memory that all of them together
// can take: with the default [Limits], at most 64 MiB for each place. More places than the process
// has cores make no render faster. It is safe for concurrent use.
//
// When a place becomes free, the Gate gives it to the organization with the smallest sum of the
// time that its renders have taken and the time that its next one is expected to take, judged by
// its recent renders; within the organization, the render that has waited longest goes first (fair
// queueing by finish times: Demers, Keshav and Shenker). So many organizations that come at once
// with long renders do not keep one with short renders waiting. If there is more than one place,
// one is kept for organizations whose renders take at most 10 ms, so that they do not wait for the
// long renders of others.
//
// A Gate works through contexts: a caller that renders, such as a Dispatcher, uses one that
// [Gate.Context] or [Gate.ContextFor] returns, and every render under that context passes the Gate,
// whichever channel compiled the template. Two Gates in one process bound their renders
// independently; callers that share one are bounded together.
type Gate struct {
	places int

	mu      sync.Mutex
	inside  int           // places that are taken
	long    int           // of them, those of organizations whose renders are not known to be short
	used    time.Duration // renderer.used of the one that got the last place
	waiting []*renderer   // renderers with a waiting render, the one that has waited longest first
	all     map[string]*renderer
	swept   time.Time // when all was last rid of the idle
}

const (
	// shortRender is how long renders take that may use the last place.
	shortRender = 10 * time.Millisecond
	// rendererMemory is how long the renders of an idle organization are remembered.
	rendererMemory = time.Minute
)

// renderer is an organization as the Gate knows it.
type renderer struct {
	used    time.Duration // by its renders, and at least what the others had used when it came
	known   bool          // a render of it has ended
	longest time.Duration // of its late renders; each one that is shorter takes an eighth of it away
	inside  int           // places that it has
	waiting []*place
	left    time.Time
}

// place is a place in the Gate, or the wait for one.
type place struct {
	gate     *Gate
	renderer *renderer
	ready    chan struct{} // closed when there is a place; nil if there was one at once
	since    time.Time     // that it is taken; zero before
	long     bool          // it counts in Gate.long
	charged  time.Duration // what the render was expected to take
}

// NewGate returns a Gate for that many renders at once. Zero means as many as the process has cores
// ([runtime.GOMAXPROCS]), but at least two; a negative number is an [*Error] with [ErrOptions].
func NewGate(renders int) (*Gate, error) {
	if renders < 0 {
		return nil, errorf(ErrOptions, "NewGate: the number of renders must not be negative, is %d",
			renders)
	}
	if renders == 0 {
		renders = max(runtime.GOMAXPROCS(0), 2)
	}
	return &Gate{places: renders, all: make(map[string]*renderer)}, nil
}

// A Turn says whose renders pass a [Gate]. The zero value is the turn of all that have no
// organization.
type Turn struct {
	// OrganizationID is whose the templates are.
	OrganizationID string
	// Waiting is called with true when a render begins to wait for a place, and with false when it
	// has got one or has given up, from the goroutine of the render. It is not called for a render
	// that finds a place at once. Nil calls nothing.
	Waiting func(waits bool)
}

// gateContext is a context under which renders pass its Gate, if it has one.
type gateContext struct {
	context.Context
	gate *Gate
	turn Turn
}

// gateKey finds the gateContext in a context.
type gateKey struct{}

func (c *gateContext) Value(key any) any {
	if key == (gateKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// Context returns a context under which renders pass the Gate, in the turn of no organization.
func (g *Gate) Context(ctx context.Context) context.Context { return g.ContextFor(ctx, Turn{}) }

// ContextFor returns a context under which renders pass the Gate in that turn.
func (g *Gate) ContextFor(ctx context.Context, turn Turn) context.Context {
	return &gateContext{ctx, g, turn}
}

// TurnOf returns the Turn that [Gate.ContextFor] has put into a context, or the zero value. Other
// limits than that of renders tell organizations apart by it.
func TurnOf(ctx context.Context) Turn {
	if c, _ := ctx.Value(gateKey{}).(*gateContext); c != nil {
		return c.turn
	}
	return Turn{}
}

// Pass runs f, which prepares a render and runs it, as soon as the Gate of ctx has a place. It runs
// f at once if ctx has no Gate, or if ctx comes from a Pass or render that has a place already.
// Render waits for a place anyway: use Pass around work that needs memory before the render, such
// as decoding the event. f gets a context under which renders do not wait again. The error is that
// of f. If ctx ends first, f does not run, and the error is an [*Error] that wraps the context's
// error.
func Pass(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, p, err := enterGate(ctx)
	if err != nil {
		return err
	}
	defer p.leave()
	return f(ctx)
}

// enterGate waits for a place in the Gate of ctx, which leave gives back.
func enterGate(ctx context.Context) (context.Context, *place, error) {
	c, _ := ctx.Value(gateKey{}).(*gateContext)
	if c == nil || c.gate == nil {
		return ctx, nil, nil
	}
	if err := ctx.Err(); err != nil { // though there may be a place
		return nil, nil, &Error{Kind: err}
	}
	p := c.gate.enter(c.turn.OrganizationID)
	if p.ready != nil {
		if waiting := c.turn.Waiting; waiting != nil {
			waiting(true)
			defer waiting(false)
		}
		select {
		case <-p.ready:
		case <-ctx.Done():
			p.giveUp()
			return nil, nil, &Error{Kind: ctx.Err()}
		}
	}
	return &gateContext{Context: ctx, turn: c.turn}, p, nil // inside, nothing waits again
}

// enter takes a place, or lines up for one.
func (g *Gate) enter(organizationID string) *place {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.all[organizationID]
	if r == nil {
		g.sweep()
		r = &renderer{}
		g.all[organizationID] = r
	}
	if r.idle() {
		r.used = max(r.used, g.used) // the time that it did not use is lost
	}
	p := &place{gate: g, renderer: r}
	if len(r.waiting) == 0 && g.admits(r) {
		g.take(p)
		return p
	}
	p.ready = make(chan struct{})
	if len(r.waiting) == 0 {
		g.waiting = append(g.waiting, r)
	}
	r.waiting = append(r.waiting, p)
	return p
}

// idle reports whether nothing of the organization renders or waits.
func (r *renderer) idle() bool { return r.inside == 0 && len(r.waiting) == 0 }

// finish returns what its renders will have taken when the next one ends, if that lasts as long as
// its late ones.
func (r *renderer) finish() time.Duration { return r.used + r.longest }

// short reports whether its renders are known to be short.
func (r *renderer) short() bool { return r.known && r.longest <= shortRender }

// admits reports whether the organization may have a place now.
func (g *Gate) admits(r *renderer) bool {
	return g.inside < g.places && (r.short() || g.long < max(g.places-1, 1))
}

// take gives the place to what waits for it. The time that it will take is charged by what it took
// before, so that an organization does not get all places that come free at one moment.
func (g *Gate) take(p *place) {
	r := p.renderer
	g.used = max(g.used, r.used)
	p.since, p.long, p.charged = time.Now(), !r.short(), r.longest
	r.used += p.charged
	r.inside++
	g.inside++
	if p.long {
		g.long++
	}
}

// leave gives the place back; a nil one needs none.
func (p *place) leave() {
	if p == nil {
		return
	}
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	r := p.renderer
	took := time.Since(p.since)
	r.known, r.longest = true, max(took, r.longest-r.longest/8)
	p.release(took)
}

// release gives the place back after that time.
func (p *place) release(took time.Duration) {
	g, r := p.gate, p.renderer
	r.left = time.Now()
	r.used += took - p.charged
	r.inside--
	g.inside--
	if p.long {
		g.long--
	}
	g.admit()
}

// admit gives places to those whose turn it is.
func (g *Gate) admit() {
	for g.inside < g.places {
		var next *renderer
		for _, r := range g.waiting {
			if g.admits(r) && (next == nil || r.finish() < next.finish()) {
				next = r
			}
		}
		if next == nil {
			return
		}
		p := next.waiting[0]
		g.stopWaiting(p)
		g.take(p)
		close(p.ready)
	}
}

// giveUp ends the wait, and gives back the place that may have come meanwhile.
func (p *place) giveUp() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.since.IsZero() {
		p.gate.stopWaiting(p)
	} else {
		p.release(0)
	}
}

// stopWaiting takes p out of the line, and puts its organization behind the others.
func (g *Gate) stopWaiting(p *place) {
	r := p.renderer
	i := slices.Index(r.waiting, p)
	r.waiting = slices.Delete(r.waiting, i, i+1)
	at := slices.Index(g.waiting, r)
	g.waiting = slices.Delete(g.waiting, at, at+1)
	if len(r.waiting) > 0 {
		g.waiting = append(g.waiting, r)
	}
}

// sweep forgets organizations that have been idle for long.
func (g *Gate) sweep() {
	now := time.Now()
	if now.Sub(g.swept) < rendererMemory {
		return
	}
	g.swept = now
	for id, r := range g.all {
		if r.idle() && now.Sub(r.left) > rendererMemory {
			delete(g.all, id)
		}
	}
}
