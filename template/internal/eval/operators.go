package eval

import (
	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// logical is a or b or …, or a and b and …; its value is the operand that decided.
type logical struct {
	node
	operands []expr
	or       bool
}

func (e *logical) eval(st *rendering) (v any, err error) {
	for _, operand := range e.operands {
		if v, err = operand.eval(st); err != nil {
			return nil, err
		}
		if err := st.Step(); err != nil {
			return nil, err
		}
		if python.Truth(v) == e.or {
			break
		}
	}
	return v, nil
}

type not struct {
	node
	operand expr
}

func (e *not) eval(st *rendering) (any, error) {
	ok, err := evalTruth(st, e.operand)
	if err != nil {
		return nil, err
	}
	return !ok, st.Step()
}

// comparison is a chain: a < b <= c compares a with b, and b with c, and stops at the first that
// does not hold.
type comparison struct {
	node
	first expr
	rest  []comparand
}

type comparand struct {
	pos     fault.Pos
	op      string
	operand expr
}

func (e *comparison) eval(st *rendering) (any, error) {
	left, err := e.first.eval(st)
	if err != nil {
		return nil, err
	}
	for _, c := range e.rest {
		right, err := c.operand.eval(st)
		if err != nil {
			return nil, err
		}
		if err := st.Step(); err != nil {
			return nil, err
		}
		ok, err := st.CompareOp(c.op, left, right)
		if err != nil {
			return nil, c.pos.At(err)
		}
		if !ok {
			return false, nil
		}
		left = right
	}
	return true, nil
}

type binaryOp struct {
	node
	op          string
	left, right expr
}

func (e *binaryOp) eval(st *rendering) (any, error) {
	left, err := e.left.eval(st)
	if err != nil {
		return nil, err
	}
	right, err := e.right.eval(st)
	if err != nil {
		return nil, err
	}
	if err := st.Step(); err != nil {
		return nil, err
	}
	v, err := st.Arithmetic(e.op, left, right)
	if err != nil {
		return nil, e.At(err)
	}
	return v, nil
}

// concat is a ~ b ~ c: all made to strings and joined.
type concat struct {
	node
	operands []expr
}

func (e *concat) eval(st *rendering) (any, error) {
	if err := st.Spend(len(e.operands)); err != nil {
		return nil, err
	}
	var few [4]any
	values := few[:0]
	safe := false
	for _, operand := range e.operands {
		v, err := operand.eval(st)
		if err != nil {
			return nil, err
		}
		if python.SafetyOf(v) != python.NotSafe && st.Autoescape {
			safe = true
		}
		values = append(values, v)
	}
	b := st.TakeScratch()
	filler := st.NewFiller()
	for _, v := range values {
		var err error
		if safe {
			b, err = filler.Append(b, v)
		} else {
			b, err = st.AppendString(b, v)
		}
		if err != nil {
			return nil, e.At(err)
		}
	}
	st.Scratch = b
	if !safe {
		return string(b), nil
	}
	v, err := st.Mix(string(b), values...)
	return v, e.At(err)
}

// sign is -x or +x.
type sign struct {
	node
	operand  expr
	negative bool
}

func (e *sign) eval(st *rendering) (any, error) {
	v, err := e.operand.eval(st)
	if err != nil {
		return nil, err
	}
	if err := st.Step(); err != nil {
		return nil, err
	}
	v, err = st.Signed(v, e.negative)
	return v, e.At(err)
}
