package template

import "github.com/mixpeek/webhooks-go/template/internal/python"

// Limits bound what one template may cost. A zero field means the default, and a negative one is an
// error of Compile (ErrOptions). A limit cannot be switched off.
type Limits struct {
	// Source is the length of the source in bytes; of an object template, of the whole JSON. Beyond
	// it: ErrSourceTooLarge. Defaults to 64 KiB.
	Source int
	// Leaves is how many strings of an object template may be templates. Beyond it:
	// ErrSourceTooLarge. Defaults to 1,000.
	Leaves int
	// Depth is how deep blocks, operators in one expression, running blocks and calls, generators that
	// take their elements from others, and values may nest. Beyond it: ErrTooDeep. Defaults to 200.
	Depth int
	// Steps is the work of one render: about one step for each literal, name, operator, filter,
	// argument, call, tag, piece of text and loop turn, for each element of a list that is read, and
	// for each 64 bytes of a string that is read; up to 16 where each character is looked at. Beyond
	// it: ErrSteps. Defaults to 200,000.
	Steps int
	// Output is the length of what one render writes, in bytes. Beyond it: ErrOutputTooLarge.
	// Defaults to 1 MiB.
	Output int
	// Range is the number of elements of a range(). Beyond it: ErrRangeTooLarge. Defaults to
	// 100,000, as in Jinja2.
	Range int
	// Memory is the total size of the strings, lists, dicts and variables that one render creates,
	// in bytes, whether or not they are still needed. Beyond it: ErrMemory. Defaults to 8 MiB.
	Memory int
}

func (l Limits) withDefaults() (python.Limits, error) {
	for _, f := range []struct {
		name  string
		field *int
		value int
	}{
		{"Source", &l.Source, 64 << 10},
		{"Leaves", &l.Leaves, 1000},
		{"Depth", &l.Depth, 200},
		{"Steps", &l.Steps, 200_000},
		{"Output", &l.Output, 1 << 20},
		{"Range", &l.Range, 100_000},
		{"Memory", &l.Memory, 8 << 20},
	} {
		switch {
		case *f.field < 0:
			return python.Limits(l), errorf(ErrOptions, "Limits.%s must not be negative, is %d", f.name,
				*f.field)
		case *f.field == 0:
			*f.field = f.value
		}
	}
	return python.Limits(l), nil
}
