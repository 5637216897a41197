package builtin

import (
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// dates are the ready-made filters and functions of dates. Their names are those of Home Assistant
// (now, utcnow, as_datetime, as_timestamp), Grafana OnCall (datetimeformat,
// datetimeformat_as_timezone) and Ansible (strftime).
type dates struct {
	location func(name string) (*time.Location, error)
}

func (d dates) filters() []python.Filter {
	return []python.Filter{
		{Name: "as_datetime", Params: "default?", Run: d.asDatetime},
		{Name: "as_timestamp", Params: "default?", Run: d.asTimestamp},
		{Name: "datetimeformat", Params: "format? tz?", Run: d.format("%H:%M / %d-%m-%Y")},
		{Name: "datetimeformat_as_timezone", Params: "format? tz?", Run: d.format("%H:%M / %d-%m-%Y")},
		{Name: "strftime", Params: "format? tz?", Run: d.strftime},
	}
}

func (d dates) functions() []python.Function {
	withInput := func(name string, run func(st *python.State,
		in any, p python.Params) (any, error)) python.Function {
		return python.Function{Name: name, Params: "value default?",
			Run: func(st *python.State, p python.Params) (any, error) {
				in := p.Values[0]
				p.Values = p.Values[1:]
				return run(st, in, p)
			}}
	}
	return []python.Function{
		{Name: "now", Params: "tz?",
			Run: func(st *python.State, p python.Params) (any, error) {
				return d.in(st, time.Now().UTC(), p, 0)
			}},
		{Name: "utcnow",
			Run: func(*python.State, python.Params) (any, error) {
				return &moment{time.Now().UTC()}, nil
			}},
		withInput("as_datetime", d.asDatetime),
		withInput("as_timestamp", d.asTimestamp),
	}
}

// A moment is a date with a time, such as now(). It prints as Python's datetime does.
type moment struct{ time.Time }

var (
	_ python.Attributed  = (*moment)(nil)
	_ python.Callable    = (*momentMethod)(nil)
	_ python.Orderable   = (*moment)(nil)
	_ python.Represented = (*moment)(nil)
	_ python.Typed       = (*moment)(nil)
)

func (m *moment) TypeName() string { return "datetime" }

func (m *moment) AppendRepr(st *python.State, b []byte, _ int) ([]byte, error) {
	return st.AppendCopy(b, m.String())
}

func (m *moment) CompareTo(other any) (order int, ok bool) {
	o, ok := other.(*moment)
	if !ok {
		return 0, false
	}
	return m.Compare(o.Time), true
}

func (m *moment) String() string { return m.text(" ") }

func (m *moment) text(between string) string {
	layout := "2006-01-02" + between + "15:04:05"
	if m.Nanosecond() >= 1000 {
		layout += ".000000"
	}
	return m.Format(layout + "-07:00")
}

// Attribute finds the attributes and methods of Python's datetime that are here.
func (m *moment) Attribute(_ *python.State, name string) (any, bool, error) {
	switch name {
	case "year":
		return int64(m.Year()), true, nil
	case "month":
		return int64(m.Month()), true, nil
	case "day":
		return int64(m.Day()), true, nil
	case "hour":
		return int64(m.Hour()), true, nil
	case "minute":
		return int64(m.Minute()), true, nil
	case "second":
		return int64(m.Second()), true, nil
	case "microsecond":
		return int64(m.Nanosecond() / 1000), true, nil
	case "isoformat", "timestamp", "weekday", "isoweekday", "strftime":
		return &momentMethod{m, name}, true, nil
	}
	return nil, false, nil
}

type momentMethod struct {
	of   *moment
	name string
}

func (m *momentMethod) Call(st *python.State, a python.Args) (any, error) {
	spec := python.ParamSpec{Owner: m.name + "()"}
	if m.name == "strftime" {
		spec.Names, spec.Required = []string{"format"}, 1
	}
	p, err := spec.Bind(a)
	if err != nil {
		return nil, err
	}
	switch m.name {
	case "isoformat":
		return m.of.text("T"), nil
	case "timestamp":
		return m.of.seconds(), nil
	case "weekday":
		return int64(m.of.Weekday()+6) % 7, nil
	case "isoweekday":
		return int64(m.of.Weekday()+6)%7 + 1, nil
	}
	layout, err := p.String(0, "")
	if err != nil {
		return nil, err
	}
	return strftime(st, m.of.Time, layout)
}

func (m *moment) seconds() float64 { return float64(m.UnixMicro()) / 1e6 }

// zoneSteps is what finding a time zone costs: it may read a file.
const zoneSteps = 200

// in puts a time into the zone that parameter i names.
func (d dates) in(st *python.State, t time.Time, p python.Params, i int) (any, error) {
	name, err := p.String(i, "")
	if err != nil || name == "" {
		return &moment{t}, err
	}
	if err := st.Spend(zoneSteps); err != nil {
		return nil, err
	}
	const longest = 64
	if name == "Local" || len(name) > longest {
		return nil, fault.Errorf(fault.ErrType, "%s needs the name of a time zone, such as Europe/Berlin",
			p.Owner)
	}
	zone, err := d.location(name)
	if err != nil || zone == nil {
		return nil, fault.Errorf(fault.ErrType, "%s needs the name of a time zone, such as Europe/Berlin",
			p.Owner)
	}
	return &moment{t.In(zone)}, nil
}

// parse makes a time of a date, of text as in RFC 3339 and ISO 8601, or of seconds since 1970.
func (d dates) parse(v any) (time.Time, bool) {
	if m, ok := v.(*moment); ok {
		return m.Time, true
	}
	if s, ok := python.AsString(v); ok {
		const longest = 64
		if s = strings.TrimSpace(s); len(s) > longest {
			return time.Time{}, false
		}
		for _, layout := range []string{
			"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700",
			"2006-01-02 15:04:05Z0700", "2006-01-02T15:04:05",
			"2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
		} {
			if t, err := time.Parse(layout, s); err == nil {
				return t, true
			}
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return time.Time{}, false
		}
		v = f
	}
	f, ok := python.AsFloat(v)
	const farthest = 253402300799 // the end of the year 9999
	if !ok || !(f >= -62135596800 && f <= farthest) {
		return time.Time{}, false
	}
	return time.UnixMicro(int64(f * 1e6)).UTC(), true
}

// date is parse, with an error for what is no date.
func (d dates) date(st *python.State, v any, p python.Params) (time.Time, error) {
	if err := st.Spend(stepsOfDate); err != nil {
		return time.Time{}, err
	}
	t, ok := d.parse(v)
	if u, isUndefined := v.(*python.Undefined); isUndefined {
		return t, u.Fail()
	}
	if !ok {
		return t, fault.Errorf(fault.ErrType,
			"%s needs a date, as 2025-10-08T16:09:00Z or in seconds since 1970", p.Owner)
	}
	return t, nil
}

// stepsOfDate is what it costs to try all forms of a date.
const stepsOfDate = 8

func (d dates) asDatetime(st *python.State, in any, p python.Params) (any, error) {
	if err := st.Spend(stepsOfDate); err != nil {
		return nil, err
	}
	if t, ok := d.parse(in); ok || !p.Has(0) {
		_, err := d.date(st, in, p)
		return &moment{t}, err
	}
	return p.Values[0], nil
}

func (d dates) asTimestamp(st *python.State, in any, p python.Params) (any, error) {
	if err := st.Spend(stepsOfDate); err != nil {
		return nil, err
	}
	if t, ok := d.parse(in); ok || !p.Has(0) {
		_, err := d.date(st, in, p)
		return (&moment{t}).seconds(), err
	}
	return p.Values[0], nil
}

func (d dates) format(otherwise string) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, in any, p python.Params) (any, error) {
		t, err := d.date(st, in, p)
		if err != nil {
			return nil, err
		}
		zoned, err := d.in(st, t, p, 1)
		if err != nil {
			return nil, err
		}
		layout, err := p.String(0, otherwise)
		if err != nil {
			return nil, err
		}
		return strftime(st, zoned.(*moment).Time, layout)
	}
}

// strftime is date|strftime(format), and as Ansible has it format|strftime(date), with now for a
// date that is not given.
func (d dates) strftime(st *python.State, in any, p python.Params) (any, error) {
	layout, ok := python.AsString(in)
	if !ok || strings.IndexByte(layout, '%') < 0 {
		return d.format("%Y-%m-%d %H:%M:%S")(st, in, p)
	}
	t := time.Now().UTC()
	if p.Has(0) {
		var err error
		if t, err = d.date(st, p.Values[0], p); err != nil {
			return nil, err
		}
	}
	zoned, err := d.in(st, t, p, 1)
	if err != nil {
		return nil, err
	}
	return strftime(st, zoned.(*moment).Time, layout)
}

// strftime writes a time as C's function of that name does, in English.
func strftime(st *python.State, t time.Time, layout string) (string, error) {
	const longest, steps = 32, 4 // of what a directive makes, and takes
	if err := st.Read(layout); err != nil {
		return "", err
	}
	directives := strings.Count(layout, "%")
	if err := st.AllocTimes(longest, int64(directives)); err != nil {
		return "", err
	}
	if err := st.Spend(steps * directives); err != nil {
		return "", err
	}
	b := make([]byte, 0, 2*len(layout))
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' || i+1 == len(layout) {
			b = append(b, layout[i])
			continue
		}
		i++
		bare := layout[i] == '-' && i+1 < len(layout)
		if bare {
			i++
		}
		text, ok := directive(t, layout[i])
		if !ok {
			return "", fault.Errorf(fault.ErrType,
				"the format of a date has a directive that does not exist")
		}
		if bare {
			if text = strings.TrimLeft(text, "0 "); text == "" {
				text = "0"
			}
		}
		b = append(b, text...)
	}
	return string(b), st.Alloc(len(b))
}

// directive is what a letter behind % stands for.
func directive(t time.Time, letter byte) (string, bool) {
	if layout := goLayout(letter); layout != "" {
		return t.Format(layout), true
	}
	year, week := t.ISOWeek()
	number := func(n, width int) (string, bool) {
		s := strconv.Itoa(n)
		return strings.Repeat("0", max(0, width-len(s))) + s, true
	}
	switch letter {
	case '%':
		return "%", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'f':
		return number(t.Nanosecond()/1000, 6)
	case 's':
		return strconv.FormatInt(t.Unix(), 10), true
	case 'u':
		return number(int(t.Weekday()+6)%7+1, 1)
	case 'w':
		return number(int(t.Weekday()), 1)
	case 'C':
		return number(t.Year()/100, 2)
	case 'G':
		return number(year, 4)
	case 'V':
		return number(week, 2)
	case 'U': // weeks that begin on Sunday
		return number((t.YearDay()+6-int(t.Weekday()))/7, 2)
	case 'W':
		return number((t.YearDay()+6-int(t.Weekday()+6)%7)/7, 2)
	}
	return "", false
}

// goLayout is the layout of package time for a letter, "" for those that have none.
func goLayout(letter byte) string {
	switch letter {
	case 'a':
		return "Mon"
	case 'A':
		return "Monday"
	case 'b', 'h':
		return "Jan"
	case 'B':
		return "January"
	case 'c':
		return "Mon Jan _2 15:04:05 2006"
	case 'd':
		return "02"
	case 'D', 'x':
		return "01/02/06"
	case 'e':
		return "_2"
	case 'F':
		return "2006-01-02"
	case 'H':
		return "15"
	case 'I':
		return "03"
	case 'j':
		return "002"
	case 'm':
		return "01"
	case 'M':
		return "04"
	case 'p':
		return "PM"
	case 'R':
		return "15:04"
	case 'S':
		return "05"
	case 'T', 'X':
		return "15:04:05"
	case 'y':
		return "06"
	case 'Y':
		return "2006"
	case 'z':
		return "-0700"
	case 'Z':
		return "MST"
	}
	return ""
}
