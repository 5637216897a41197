package template

import "context"

// Limits bound what one template may cost. A zero field takes its default; there is no way to have no limit.
type Limits struct {
	// Source is the length of the source in bytes; of an object template, of the whole JSON. Beyond it:
	// ErrSourceTooLarge. Defaults to 64 KiB.
	Source int
	// Depth is how deep blocks, operators in one expression, running blocks and calls, and values may nest.
	// Beyond it: ErrTooDeep. Defaults to 200.
	Depth int
	// Steps is the work of one render: about one step for each name, operator, filter, call, tag, loop turn, element
	// of a list that is gone through and 64 bytes of a string that is. Beyond it: ErrSteps. Defaults to 200,000.
	Steps int
	// Output is the length of what one render writes, in bytes. Beyond it: ErrOutputTooLarge. Defaults to 1 MiB.
	Output int
	// Range is the number of elements of a range(). Beyond it: ErrRangeTooLarge. Defaults to 100,000, as in Jinja2.
	Range int
	// Memory is the total size of the strings, lists and dicts that one render creates, in bytes, whether or not they
	// are still needed. Beyond it: ErrMemory. Defaults to 8 MiB.
	Memory int
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.Source, 64 << 10},
		{&l.Depth, 200},
		{&l.Steps, 200_000},
		{&l.Output, 1 << 20},
		{&l.Range, 100_000},
		{&l.Memory, 8 << 20},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return l
}

const (
	contextEvery  = 256 // steps between two looks at the context
	bytesPerStep  = 64  // how many bytes of a string one step goes through
	bytesPerValue = 16  // what an element of a list costs in Limits.Memory
)

// budget counts what one render has used. An exhausted budget stays so: fault is returned by every later step, and
// checked once more at the end of the render.
type budget struct {
	limits Limits
	ctx    context.Context
	used   int // steps
	looked int // value of used at the last look at the context
	memory int
	depth  int
	fault  error
}

// step spends one step.
func (b *budget) step() error {
	b.used++
	if b.used > b.limits.Steps || b.used-b.looked >= contextEvery || b.fault != nil {
		return b.check()
	}
	return nil
}

func (b *budget) check() error {
	b.looked = b.used
	if b.fault == nil {
		if b.used > b.limits.Steps {
			b.fault = errorf(ErrSteps, "the limit is %d", b.limits.Steps)
		} else if err := b.ctx.Err(); err != nil {
			b.fault = &Error{Kind: err}
		}
	}
	return b.fault
}

// spend spends n steps. It suits work that is bounded anyway: an exhausted budget shows in the next step.
func (b *budget) spend(n int) {
	b.used += n
}

// scan spends the steps for going through n bytes of a string.
func (b *budget) scan(n int) { b.used += n / bytesPerStep }

// How much slower than a plain search it is to look at each character, or to convert it.
const (
	perCharacter  = 4
	perConversion = 12
	perWord       = 32 // where every word may need a conversion of its own
)

// alloc asks for n bytes of values before they are created, and spends the steps for filling them.
func (b *budget) alloc(n int) error {
	if n < 0 || n > b.limits.Memory-b.memory {
		b.memory = b.limits.Memory
		if b.fault == nil {
			b.fault = errorf(ErrMemory, "the limit is %d bytes", b.limits.Memory)
		}
		return b.fault
	}
	b.memory += n
	b.used += n / bytesPerStep
	return nil
}

// allocEscaped asks for an escaped copy of a string: of a short one the true size does not matter, of a long one it is
// taken to be as large as it can get.
func (b *budget) allocEscaped(n int) error {
	const short, longestEscape = 4 << 10, 6
	if n > short {
		n *= longestEscape
	}
	return b.alloc(n)
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
	if err := b.alloc(n * bytesPerValue); err != nil {
		return err
	}
	b.used += n
	return b.step()
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

func tooDeep(limit int) *Error { return errorf(ErrTooDeep, "the limit is %d", limit) }
