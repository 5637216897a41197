package template

import "github.com/mixpeek/webhooks-go/template/internal/fault"

// args are evaluated arguments.
type args struct {
	positional []any
	names      []string
	values     []any // of names
}

// A callable is a value that a template can call.
type callable interface {
	call(st *state, a args) (any, error)
}

func isCallable(v any) bool {
	_, ok := v.(callable)
	return ok
}

func (st *state) call(f any, a args) (any, error) {
	switch f := f.(type) {
	case callable:
		return f.call(st, a)
	case *undefined:
		return nil, f.fail()
	}
	return nil, fault.Errorf(fault.ErrType, "%s is not callable", typeName(f))
}
