package template

import (
	"context"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// bounds are the Limits of package template, with their defaults filled in.
type bounds struct{ Source, Leaves, Depth, Steps, Output, Range, Memory int }

const (
	contextEvery  = 256 // steps between two looks at the context
	bytesPerStep  = 64  // how many bytes of a string one step goes through
	bytesPerValue = 16  // what an element of a list costs in Limits.Memory
	bytesPerScope = 32  // what a block with variables of its own costs, and each of its variables
	bytesPerTuple = 64  // what a pair that is made along the way costs
)

// budget counts what one render has used. Whatever is done is asked for before it is done. An
// exhausted budget stays so: fault is returned by everything that asks later, and checked once more
// at the end of the render.
type budget struct {
	limits bounds
	ctx    context.Context
	used   int // steps
	looked int // value of used at the last look at the context
	memory int
	depth  int
	fault  error
}

func newBudget(ctx context.Context, limits bounds) budget { return budget{limits: limits, ctx: ctx} }

// step asks for one step.
func (b *budget) step() error { return b.spend(1) }

// spend asks for n steps, before the work that they stand for.
func (b *budget) spend(n int) error {
	if n > b.limits.Steps-b.used {
		b.used = b.limits.Steps + 1
		return b.check()
	}
	b.used += n
	if b.used-b.looked >= contextEvery || b.fault != nil {
		return b.check()
	}
	return nil
}

func (b *budget) check() error {
	b.looked = b.used
	if b.fault == nil {
		if b.used > b.limits.Steps {
			b.fault = fault.Errorf(fault.ErrSteps, "the limit is %d", b.limits.Steps)
		} else if err := b.ctx.Err(); err != nil {
			b.fault = &fault.Error{Kind: err}
		}
	}
	return b.fault
}

// scan asks for the steps to go through n bytes of a string with what the processor does many bytes
// of at a time: a comparison, a hash, a copy, a search for one byte.
func (b *budget) scan(n int) error { return b.spend(n / bytesPerStep) }

// How many bytes that are looked at one by one are as much work as bytesPerStep.
const (
	perCharacter  = 4 // to decode a character, to search for more than a byte
	perConversion = 8 // to look a character up in the tables of Unicode
	inOneGo       = 2 // times as much where nothing looks at the context meanwhile
)

// read asks for the steps to look at each character of s without knowing more of it than where it
// ends.
func (b *budget) read(s string) error { return b.scan(perCharacter * len(s)) }

// classify asks for the steps to look each character of s up in the tables of Unicode, which ASCII
// does not need.
func (b *budget) classify(s string) error {
	if err := b.scan(len(s)); err != nil {
		return err
	}
	if isASCII(s) {
		return b.scan(perCharacter * len(s))
	}
	return b.scan(perConversion * len(s))
}

// search asks for the steps to find what in s.
func (b *budget) search(s, what string) error {
	if len(what) == 1 {
		return b.scan(len(s))
	}
	return b.scan(perCharacter * (len(s) + len(what)))
}

// alloc asks for n bytes of values before they are created, with the steps for filling them.
func (b *budget) alloc(n int) error {
	if n < 0 || n > b.limits.Memory-b.memory {
		b.memory = b.limits.Memory
		if b.fault == nil {
			b.fault = fault.Errorf(fault.ErrMemory, "the limit is %d bytes", b.limits.Memory)
		}
		return b.fault
	}
	b.memory += n
	return b.scan(n)
}

// allocTimes is alloc(size*times) without overflow.
func (b *budget) allocTimes(size int, times int64) error {
	if times > 0 && size > 0 && times > int64(b.limits.Memory/size)+1 {
		return b.alloc(b.limits.Memory + 1)
	}
	return b.alloc(size * int(times))
}

// allocValues asks for a list of n elements.
func (b *budget) allocValues(n int) error {
	if err := b.allocTimes(bytesPerValue, int64(n)); err != nil {
		return err
	}
	return b.spend(n + 1)
}

// enter goes one running block or call deeper; leave comes back.
func (b *budget) enter() error {
	if b.depth >= b.limits.Depth {
		return tooDeep(b.limits.Depth)
	}
	b.depth++
	return nil
}

func (b *budget) leave() { b.depth-- }

func tooDeep(limit int) *fault.Error { return fault.Errorf(fault.ErrTooDeep, "the limit is %d", limit) }
