package python

import (
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A ParamSpec names the parameters of a filter, test, method or global, in order. A name that ends
// in "?" is optional; the spec "*" takes any arguments as they are.
type ParamSpec struct {
	Owner    string // what is called, for errors
	Names    []string
	Required int
	Variadic bool
}

// NewParamSpec reads a spec. The owner is what is called, for errors.
func NewParamSpec(owner, spec string) ParamSpec {
	s := ParamSpec{Owner: owner}
	for _, n := range strings.Fields(spec) {
		if n == "*" {
			s.Variadic = true
			continue
		}
		optional := strings.TrimSuffix(n, "?")
		if optional == n {
			s.Required++
		}
		s.Names = append(s.Names, optional)
	}
	return s
}

// Params are arguments in the order of the parameters they belong to.
type Params struct {
	Owner     string
	Signature *ParamSpec
	Values    []any // may be shorter than the parameters; absent where not given
	Raw       Args
	Literal   bool // all of them stand in the template
}

type missing struct{}

// Absent stands for a parameter that was not given.
var Absent any = missing{}

// Bind puts arguments in the order of the parameters.
func (s *ParamSpec) Bind(a Args) (Params, error) {
	p := Params{Owner: s.Owner, Signature: s, Raw: a}
	if s.Variadic {
		return p, nil
	}
	if len(a.Positional) > len(s.Names) {
		return p, fault.Errorf(fault.ErrType, "%s takes at most %d arguments, got %d", s.Owner,
			len(s.Names), len(a.Positional))
	}
	p.Values = a.Positional
	if len(a.Names) > 0 {
		if err := s.bindNames(a, &p); err != nil {
			return p, err
		}
	}
	for i := 0; i < s.Required; i++ {
		if !p.Has(i) {
			return p, fault.Errorf(fault.ErrType, "%s needs the argument %q", s.Owner, s.Names[i])
		}
	}
	return p, nil
}

func (s *ParamSpec) bindNames(a Args, p *Params) error {
	p.Values = make([]any, len(s.Names))
	for i := copy(p.Values, a.Positional); i < len(p.Values); i++ {
		p.Values[i] = Absent
	}
next:
	for i, name := range a.Names {
		for j, n := range s.Names {
			if n == name {
				if p.Has(j) {
					return fault.Errorf(fault.ErrType, "%s got the argument %q twice", s.Owner, n)
				}
				p.Values[j] = a.Values[i]
				continue next
			}
		}
		return fault.Errorf(fault.ErrType, "%s has no such keyword argument", s.Owner)
	}
	return nil
}

// Has reports whether argument i was given.
func (p *Params) Has(i int) bool { return i < len(p.Values) && p.Values[i] != Absent }

// Get returns an argument, or otherwise.
func (p *Params) Get(i int, otherwise any) any {
	if p.Has(i) {
		return p.Values[i]
	}
	return otherwise
}

// Truth returns whether an argument counts as true, or otherwise.
func (p *Params) Truth(i int, otherwise bool) bool {
	if p.Has(i) {
		return Truth(p.Values[i])
	}
	return otherwise
}

// Integer returns an argument that must be an integer.
func (p *Params) Integer(i int, otherwise int64) (int64, error) {
	if !p.Has(i) {
		return otherwise, nil
	}
	n, ok := AsInt(p.Values[i])
	if !ok {
		if u, isUndefined := p.Values[i].(*Undefined); isUndefined {
			return 0, u.Fail()
		}
		return 0, fault.Errorf(fault.ErrType, "%s needs an integer, not %s", p.Owner,
			TypeName(p.Values[i]))
	}
	return n, nil
}

// String returns an argument that must be a string.
func (p *Params) String(i int, otherwise string) (string, error) {
	if !p.Has(i) {
		return otherwise, nil
	}
	s, ok := AsString(p.Values[i])
	if !ok {
		if u, isUndefined := p.Values[i].(*Undefined); isUndefined {
			return "", u.Fail()
		}
		return "", fault.Errorf(fault.ErrType, "%s needs a string, not %s", p.Owner,
			TypeName(p.Values[i]))
	}
	return s, nil
}
