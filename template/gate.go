package template

import (
	"context"
	"runtime"
)

// A Gate bounds how many renders run at once, and with them the memory that all of them together
// can take: at most 64 MiB for each place. More places than the process has cores make no render
// faster. It is safe for concurrent use.
//
// A Gate works for the contexts that it makes: a caller who renders, such as a Dispatcher, uses one
// of them, and every render under that context passes the Gate, whichever channel compiled the
// template. Gates are values: two of them in one process bound their renders independently, and
// those who share one are bounded together.
type Gate struct{ places chan struct{} }

// NewGate returns a Gate for so many renders at once. Zero means as many as the process has cores
// ([runtime.GOMAXPROCS]); a negative number is an error.
func NewGate(renders int) (*Gate, error) {
	if renders < 0 {
		return nil, errorf(ErrOptions, "NewGate: the number of renders must not be negative, is %d", renders)
	}
	if renders == 0 {
		renders = runtime.GOMAXPROCS(0)
	}
	return &Gate{make(chan struct{}, renders)}, nil
}

// gateKey finds the Gate in a context: nil for what runs inside one.
type gateKey struct{}

// Context returns a context under which renders pass the Gate.
func (g *Gate) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, gateKey{}, g)
}

// Pass runs f, which prepares a render and runs it, as soon as the Gate of ctx has a place; at once
// if ctx has no Gate or if what calls Pass is inside already. Renders pass by themselves: Pass is
// for what holds memory for them, such as an event that is decoded for its template. f gets a
// context under which renders do not wait again. If ctx ends first, f does not run and the error is
// an [*Error] with that of the context.
func Pass(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, g, err := enterGate(ctx)
	if err != nil {
		return err
	}
	defer g.leave()
	return f(ctx)
}

// enterGate waits for a place in the Gate of ctx, which leave gives back.
func enterGate(ctx context.Context) (context.Context, *Gate, error) {
	g, _ := ctx.Value(gateKey{}).(*Gate)
	if g == nil {
		return ctx, nil, nil
	}
	if err := ctx.Err(); err != nil { // though there may be a place
		return nil, nil, &Error{Kind: err}
	}
	select {
	case g.places <- struct{}{}:
		return context.WithValue(ctx, gateKey{}, (*Gate)(nil)), g, nil
	case <-ctx.Done():
		return nil, nil, &Error{Kind: ctx.Err()}
	}
}

// leave gives the place back; a nil Gate has none.
func (g *Gate) leave() {
	if g != nil {
		<-g.places
	}
}
