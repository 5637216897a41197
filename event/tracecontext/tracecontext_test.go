package tracecontext_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/event/tracecontext"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestParent(t *testing.T) {
	t.Parallel()
	const ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
	for value, want := range map[string]string{
		parent:                       parent,
		"00-" + ids + "-00":          "00-" + ids + "-00",
		"00-" + ids + "-ff":          "00-" + ids + "-ff", // flags of level 2 and later ones
		"cc-" + ids + "-09":          "00-" + ids + "-01",
		"cc-" + ids + "-08-what":     "00-" + ids + "-00",
		"cc-" + ids + "-01.what":     "",
		"00-" + ids + "-01-what":     "",
		"ff-" + ids + "-01":          "",
		"0-" + ids + "-01":           "",
		"00-" + ids + "-1":           "",
		"00-" + ids + "-0G":          "",
		"00-" + ids + "_01":          "",
		"":                           "",
		" " + parent:                 "",
		strings.ToUpper(parent):      "",
		parent[:54] + "\n":           "",
		parent + "\r\nX-Injected: 1": "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": "",
	} {
		got := tracecontext.Context{Parent: value, State: "a=b"}.Clean()
		assert.Equal(t, want, got.Parent, "%q", value)
		assert.Equal(t, want != "", got.State != "", "%q: a state needs a parent", value)
	}
}

// member returns a member of n bytes.
func member(key string, n int) string { return key + "=" + strings.Repeat("v", n-len(key)-1) }

// members returns a list of members, such as a128, whose key is a and which has 128 bytes.
func members(list ...string) string {
	for i, s := range list {
		n, _ := strconv.Atoi(s[1:])
		list[i] = member(s[:1], n)
	}
	return strings.Join(list, ",")
}

func TestState(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 33 {
		many = append(many, fmt.Sprintf("k%d=v", i))
	}
	for value, want := range map[string]string{
		"congo=t61rcWkgMzE":             "congo=t61rcWkgMzE",
		"a=1,b=2":                       "a=1,b=2",
		" a=1 ,\t, b=2 ":                "a=1 ,\t, b=2",
		"tenant@system=x,0/_-*=y":       "tenant@system=x,0/_-*=y",
		"a=with a blank":                "a=with a blank",
		strings.Join(many[:32], ","):    strings.Join(many[:32], ","),
		strings.Join(many, ","):         "",
		"a":                             "",
		"a=":                            "",
		"=b":                            "",
		"A=b":                           "",
		"_a=b":                          "",
		"a=b=c":                         "",
		"a=1,a=2":                       "",
		"a=\u00e4":                      "",
		"a=b\nc=d":                      "",
		" , ":                           "",
		member("a", 259):                "",
		strings.Repeat("a", 257) + "=b": "",
		members("a258", "b253"):         members("a258", "b253"),
		members("a258", "b100", "c200"): members("b100"),
		members("a128", "b128", "c128", "d128", "e9"): members("a128", "b128", "c128"),
	} {
		got := tracecontext.Context{Parent: parent, State: value}.Clean()
		assert.Equal(t, parent, got.Parent)
		assert.Equal(t, want, got.State, "%q", value)
		assert.LessOrEqual(t, len(got.State), 512)
	}
}

func TestBaggage(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprintf("k%d=v", i))
	}
	large := member("large", 8000)
	for value, want := range map[string]string{
		"userId=alice,serverNode=DF%2028":            "userId=alice,serverNode=DF%2028",
		"key1=value1;property1;p2=v2, key2 = value2": "key1=value1;property1;p2=v2, key2 = value2",
		"a=b=c":                      "a=b=c",
		"a=":                         "a=",
		" a=b ":                      "a=b",
		"a=b,nothing,c=d":            "a=b,c=d",
		"a=b,c=d e,f=g":              "a=b,f=g",
		"a=b\r\nX-Injected: 1":       "",
		"a=\u00e4,b=c":               "b=c",
		"=b":                         "",
		"a=b;;c":                     "",
		strings.Join(many[:64], ","): strings.Join(many[:64], ","),
		strings.Join(many, ","):      strings.Join(many[:64], ","),
		large + ",a=b," + member("second", 1000) + ",c=d": large + ",a=b,c=d",
	} {
		got := tracecontext.Context{Baggage: value}.Clean()
		assert.Equal(t, tracecontext.Context{Baggage: want}, got, "%q", value)
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	none := context.Background()
	assert.True(t, tracecontext.From(none).IsZero())
	assert.Equal(t, none, tracecontext.With(none, tracecontext.Context{Parent: "nonsense"}))

	trace := tracecontext.Context{Parent: parent, State: "a=b", Baggage: "c=d"}
	outer := tracecontext.With(none, trace)
	assert.Equal(t, trace, tracecontext.From(outer))
	assert.Equal(t, outer, tracecontext.With(outer, trace))
	inner := tracecontext.With(outer, tracecontext.Context{Baggage: "c=d,nonsense"})
	assert.Equal(t, tracecontext.Context{Baggage: "c=d"}, tracecontext.From(inner))
	assert.True(t, tracecontext.From(tracecontext.With(inner, tracecontext.Context{})).IsZero(),
		"the zero Context hides the outer one")
}

func TestFromHeader(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	assert.True(t, tracecontext.FromHeader(h).IsZero())
	h.Set("TraceParent", parent)
	h.Add("tracestate", "a=1")
	h.Add("tracestate", "")
	h.Add("tracestate", "b=2")
	h.Add("baggage", "c=3")
	h.Add("baggage", "d=4")
	want := tracecontext.Context{Parent: parent, State: "a=1,,b=2", Baggage: "c=3,d=4"}
	assert.Equal(t, want, tracecontext.FromHeader(h))
	h.Add("traceparent", parent)
	assert.Equal(t, tracecontext.Context{Baggage: "c=3,d=4"}, tracecontext.FromHeader(h),
		"two traceparents are none")
}

// A Context is a TextMapCarrier of OpenTelemetry.
func TestCarrier(t *testing.T) {
	t.Parallel()
	var carrier interface {
		Get(name string) string
		Set(name, value string)
		Keys() []string
	} = &tracecontext.Context{}
	assert.Empty(t, carrier.Keys())
	carrier.Set("traceparent", "1")
	carrier.Set("tracestate", "2")
	carrier.Set("baggage", "3")
	carrier.Set("other", "4")
	assert.Equal(t, &tracecontext.Context{Parent: "1", State: "2", Baggage: "3"}, carrier)
	assert.Equal(t, []string{"traceparent", "tracestate", "baggage"}, carrier.Keys())
	assert.Equal(t, "2", carrier.Get("tracestate"))
	assert.Empty(t, carrier.Get("other"))
}

// Code without a trace pays nothing. AllocsPerRun does not work in parallel tests.
func TestAllocations(t *testing.T) {
	ctx := context.Background()
	header := http.Header{"Content-Type": {"application/json"}}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if trace := tracecontext.From(ctx); !trace.IsZero() {
			t.Error(trace)
		}
		ctx = tracecontext.With(ctx, tracecontext.FromHeader(header))
	}))
	header.Set("Traceparent", parent)
	header.Set("Tracestate", "a=b")
	assert.Zero(t, testing.AllocsPerRun(100, func() { tracecontext.FromHeader(header) }))
}

// What is cleaned fits into a header, stays within the limits, and stays as it is.
func FuzzClean(f *testing.F) {
	f.Add(parent, "a=1,b=2", "c=3;d, e = 4")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", members("a258", "b258"),
		strings.Repeat("k=v,", 3000))
	f.Fuzz(func(t *testing.T, traceparent, state, baggage string) {
		c := tracecontext.Context{Parent: traceparent, State: state, Baggage: baggage}.Clean()
		assert.LessOrEqual(t, len(c.State), 512)
		assert.LessOrEqual(t, len(c.Baggage), 8192)
		for _, value := range []string{c.Parent, c.State, c.Baggage} {
			for _, b := range []byte(value) {
				assert.True(t, b == '\t' || ' ' <= b && b <= '~', "%q", value)
			}
		}
		assert.Equal(t, c, c.Clean())
	})
}
