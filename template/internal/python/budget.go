package python

import (
	"context"
	"runtime"
	"time"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// Limits are the Limits of package template, with their defaults filled in.
type Limits struct{ Source, Leaves, Depth, Steps, Output, Range, Memory int }

// What things cost.
const (
	contextEvery  = 256 // steps between two looks at the context and the clock
	BytesPerStep  = 64  // how many bytes of a string one step goes through
	BytesPerValue = 16  // what an element of a list costs in Limits.Memory
	BytesPerScope = 32  // what a block with variables of its own costs, and each of its variables
	BytesPerTuple = 64  // what a pair that is made along the way costs
)

// Budget counts what one render has used. Whatever is done is asked for before it is done. An
// exhausted budget stays so: fault is returned by everything that asks later, and checked once more
// at the end of the render.
type Budget struct {
	Limits  Limits
	Context context.Context
	used    int       // steps
	looked  int       // value of used at the last look at the context
	began   time.Time // the last pause ended, or the render began
	yielded time.Time // the last pause or call of Gosched ended, or the render began
	memory  int
	depth   int
	calls   int // that have begun and not ended
	Fault   error
}

// NewBudget returns a budget of which nothing is used, for a render that ends with ctx.
func NewBudget(ctx context.Context, limits Limits) Budget {
	return Budget{Limits: limits, Context: ctx}
}

// Step asks for one step.
func (b *Budget) Step() error { return b.Spend(1) }

// Spend asks for n steps, before the work that they stand for.
func (b *Budget) Spend(n int) error {
	if n > b.Limits.Steps-b.used {
		b.used = b.Limits.Steps + 1
		return b.Check()
	}
	b.used += n
	if b.used-b.looked >= contextEvery || b.Fault != nil {
		return b.Check()
	}
	return nil
}

// Check returns what has ended the render: the limit of steps, another limit, or the context. It is
// nil while the render may go on.
func (b *Budget) Check() error {
	b.looked = b.used
	b.pause()
	if b.Fault == nil {
		if b.used > b.Limits.Steps {
			b.Fault = fault.Errorf(fault.ErrSteps, "the limit is %d", b.Limits.Steps)
		} else if err := b.Context.Err(); err != nil {
			b.Fault = &fault.Error{Kind: err}
		}
	}
	return b.Fault
}

const (
	pauseEvery = 2 * time.Millisecond   // of a render
	pauseFor   = 50 * time.Microsecond  // or what the system's timers make of it, up to 1 ms
	yieldEvery = 100 * time.Microsecond // of a render
)

// pause parks the goroutine of a long render from time to time. The scheduler of Go lets a goroutine
// that computes run for 10 ms, and looks at the network that seldom too while all cores are busy: on
// two cores, all other deliveries of the process would wait for one tenant's render.
// [runtime.Gosched] is no remedy for that, because it puts the goroutine in front of the network. But
// it lets those go first that can run already, such as the next of the goroutines that a delivery
// goes through, and costs a render nearly nothing, where a pause may last a millisecond. So it is
// called in between.
func (b *Budget) pause() {
	switch now := time.Now(); {
	case b.began.IsZero():
		b.began, b.yielded = now, now
	case now.Sub(b.began) >= pauseEvery:
		time.Sleep(pauseFor)
		b.began = time.Now()
		b.yielded = b.began
	case now.Sub(b.yielded) >= yieldEvery:
		runtime.Gosched()
		b.yielded = time.Now()
	}
}

// Scan asks for the steps to go through n bytes of a string with what the processor does many bytes
// of at a time: a comparison, a hash, a copy, a search for one byte.
func (b *Budget) Scan(n int) error { return b.Spend(n / BytesPerStep) }

// How many bytes that are looked at one by one are as much work as BytesPerStep.
const (
	PerCharacter  = 4 // to decode a character, to search for more than a byte
	PerConversion = 8 // to look a character up in the tables of Unicode
	InOneGo       = 2 // times as much where nothing looks at the context meanwhile
)

// Read asks for the steps to look at each character of s without knowing more of it than where it
// ends.
func (b *Budget) Read(s string) error { return b.Scan(PerCharacter * len(s)) }

// Classify asks for the steps to look each character of s up in the tables of Unicode, which ASCII
// does not need.
func (b *Budget) Classify(s string) error {
	if err := b.Scan(len(s)); err != nil {
		return err
	}
	if IsASCII(s) {
		return b.Scan(PerCharacter * len(s))
	}
	return b.Scan(PerConversion * len(s))
}

// Search asks for the steps to find what in s.
func (b *Budget) Search(s, what string) error {
	if len(what) == 1 {
		return b.Scan(len(s))
	}
	return b.Scan(PerCharacter * (len(s) + len(what)))
}

// Alloc asks for n bytes of values before they are created, with the steps for filling them.
func (b *Budget) Alloc(n int) error {
	if n < 0 || n > b.Limits.Memory-b.memory {
		b.memory = b.Limits.Memory
		if b.Fault == nil {
			b.Fault = fault.Errorf(fault.ErrMemory, "the limit is %d bytes", b.Limits.Memory)
		}
		return b.Fault
	}
	b.memory += n
	return b.Scan(n)
}

// AllocTimes is alloc(size*times) without overflow.
func (b *Budget) AllocTimes(size int, times int64) error {
	if times > 0 && size > 0 && times > int64(b.Limits.Memory/size)+1 {
		return b.Alloc(b.Limits.Memory + 1)
	}
	return b.Alloc(size * int(times))
}

// AllocValues asks for a list of n elements.
func (b *Budget) AllocValues(n int) error {
	if err := b.AllocTimes(BytesPerValue, int64(n)); err != nil {
		return err
	}
	return b.Spend(n + 1)
}

// Enter goes one running block or call deeper; leave comes back.
func (b *Budget) Enter() error {
	if b.depth >= b.Limits.Depth {
		return TooDeep(b.Limits.Depth)
	}
	b.depth++
	return nil
}

// Leave comes back from one level of Enter.
func (b *Budget) Leave() { b.depth-- }

// callsPerLevel is how many calls, filters and tests may be inside one another for each level of
// Limits.Depth. An expression may nest as deeply as blocks and macros do, and a macro may be called
// from the bottom of one: without a limit of their own the frames of both would be multiplied.
const callsPerLevel = 25

// EnterCall begins a call, filter or test of an expression; LeaveCall ends it.
func (b *Budget) EnterCall() error {
	if b.calls >= callsPerLevel*b.Limits.Depth {
		return TooDeep(b.Limits.Depth)
	}
	b.calls++
	return nil
}

// LeaveCall comes back from EnterCall.
func (b *Budget) LeaveCall() { b.calls-- }

// TooDeep is the error of what nests deeper than limit.
func TooDeep(limit int) *fault.Error {
	return fault.Errorf(fault.ErrTooDeep, "the limit is %d", limit)
}
