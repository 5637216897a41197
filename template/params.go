package template

import (
	"strings"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// A paramSpec names the parameters of a filter, test, method or global, in order. A name that ends
// in "?" is optional; the spec "*" takes any arguments as they are.
type paramSpec struct {
	owner    string // what is called, for errors
	names    []string
	required int
	variadic bool
}

func newParamSpec(owner, spec string) paramSpec {
	s := paramSpec{owner: owner}
	for _, n := range strings.Fields(spec) {
		if n == "*" {
			s.variadic = true
			continue
		}
		optional := strings.TrimSuffix(n, "?")
		if optional == n {
			s.required++
		}
		s.names = append(s.names, optional)
	}
	return s
}

// params are arguments in the order of the parameters they belong to.
type params struct {
	owner     string
	signature *paramSpec
	values    []any // may be shorter than the parameters; absent where not given
	raw       args  // of a variadic function
}

type missing struct{}

// absent stands for a parameter that was not given.
var absent any = missing{}

// bind puts arguments in the order of the parameters.
func (s *paramSpec) bind(a args) (params, error) {
	p := params{owner: s.owner, signature: s, raw: a}
	if s.variadic {
		return p, nil
	}
	if len(a.positional) > len(s.names) {
		return p, fault.Errorf(fault.ErrType, "%s takes at most %d arguments, got %d", s.owner, len(s.names), len(a.positional))
	}
	p.values = a.positional
	if len(a.names) > 0 {
		if err := s.bindNames(a, &p); err != nil {
			return p, err
		}
	}
	for i := 0; i < s.required; i++ {
		if !p.has(i) {
			return p, fault.Errorf(fault.ErrType, "%s needs the argument %q", s.owner, s.names[i])
		}
	}
	return p, nil
}

func (s *paramSpec) bindNames(a args, p *params) error {
	p.values = make([]any, len(s.names))
	for i := copy(p.values, a.positional); i < len(p.values); i++ {
		p.values[i] = absent
	}
next:
	for i, name := range a.names {
		for j, n := range s.names {
			if n == name {
				if p.has(j) {
					return fault.Errorf(fault.ErrType, "%s got the argument %q twice", s.owner, n)
				}
				p.values[j] = a.values[i]
				continue next
			}
		}
		return fault.Errorf(fault.ErrType, "%s has no such keyword argument", s.owner)
	}
	return nil
}

func (p *params) has(i int) bool { return i < len(p.values) && p.values[i] != absent }

// get returns an argument, or otherwise.
func (p *params) get(i int, otherwise any) any {
	if p.has(i) {
		return p.values[i]
	}
	return otherwise
}

func (p *params) truth(i int, otherwise bool) bool {
	if p.has(i) {
		return truth(p.values[i])
	}
	return otherwise
}

// integer returns an argument that must be an integer.
func (p *params) integer(i int, otherwise int64) (int64, error) {
	if !p.has(i) {
		return otherwise, nil
	}
	n, ok := asInt(p.values[i])
	if !ok {
		if u, isUndefined := p.values[i].(*undefined); isUndefined {
			return 0, u.fail()
		}
		return 0, fault.Errorf(fault.ErrType, "%s needs an integer, not %s", p.owner, typeName(p.values[i]))
	}
	return n, nil
}

// str returns an argument that must be a string.
func (p *params) str(i int, otherwise string) (string, error) {
	if !p.has(i) {
		return otherwise, nil
	}
	s, ok := asString(p.values[i])
	if !ok {
		if u, isUndefined := p.values[i].(*undefined); isUndefined {
			return "", u.fail()
		}
		return "", fault.Errorf(fault.ErrType, "%s needs a string, not %s", p.owner, typeName(p.values[i]))
	}
	return s, nil
}
