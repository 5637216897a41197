package python

import "github.com/mixpeek/webhooks-go/template/internal/fault"

// Args are evaluated arguments.
type Args struct {
	Positional []any
	Names      []string
	Values     []any // of names
}

// A Callable is a value that a template can call.
type Callable interface {
	Call(st *State, a Args) (any, error)
}

// IsCallable reports whether a template can call v.
func IsCallable(v any) bool {
	_, ok := v.(Callable)
	return ok
}

// Call calls f.
func (st *State) Call(f any, a Args) (any, error) {
	switch f := f.(type) {
	case Callable:
		return f.Call(st, a)
	case *Undefined:
		return nil, f.Fail()
	}
	return nil, fault.Errorf(fault.ErrType, "%s is not callable", TypeName(f))
}
