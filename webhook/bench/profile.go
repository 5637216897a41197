package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/pprof"
	"strings"

	"github.com/google/pprof/profile"
)

// part is a part of a delivery that CPU time is told apart by. A sample belongs to the part that
// its innermost function of any part belongs to.
type part struct {
	name string
	// functions are beginnings of functions' names, without the path of their repository's host.
	functions []string
}

const module = "github.com/mixpeek/webhooks-go/"

// parts are looked through in this order for each function.
var parts = []part{
	{"client", []string{module + "channel/internal/http1", module + "channel/channelkit",
		"net/http.", "crypto/"}},
	{"template, signature", []string{module + "channel/", module + "template",
		module + "event/signature"}},
	{"store", []string{module + "webhook/sqlstore", module + "webhook/sqlite",
		module + "webhook/postgres", module + "webhook/memstore", "modernc.org/",
		"github.com/jackc/pgx", "database/sql"}},
	{"scheduler", []string{module + "webhook/dispatch"}},
	{"event", []string{module + "event", "main.newEvent"}},
	{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.bgsweep",
		"runtime.bgscavenge"}},
}

// calls tell apart what the store was asked for: by a function anywhere on the stack.
var calls = []part{
	{"store: prune", []string{".(*Store).Prune"}},
	{"store: settle", []string{".(*Store).Settle"}},
	{"store: claim", []string{".(*Store).Claim", ".(*Store).Extend"}},
	{"store: enqueue", []string{".(*Store).Enqueue"}},
}

// sinkPart is the endpoint's: all that its server does.
var sinkPart = part{"sink", []string{"net/http.(*conn).serve", "net/http.(*connReader)"}}

// rest is what belongs to no part: goroutines that are switched, timers, and the like.
const rest = "runtime, other"

// profileParts prints what CPU time each part of a delivery takes, of the first shape and
// transport.
func profileParts(ctx context.Context, o options, s *sink, out io.Writer) error {
	s = s.over(o.tls[0])
	fmt.Fprintf(out, "%-32s %-24s %12s %8s\n", "CPU by part", "", "each", "share")
	for _, name := range o.stores() {
		var recorded bytes.Buffer
		if err := pprof.StartCPUProfile(&recorded); err != nil {
			return err
		}
		// From the first emit to the last delivery, as the profile is.
		before := s.arrivals.Load()
		_, err := delivered(ctx, o, s, name, o.shapes[0])
		deliveries := s.arrivals.Load() - before
		pprof.StopCPUProfile()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := printParts(out, engineNames[name], &recorded, deliveries); err != nil {
			return err
		}
	}
	return nil
}

func printParts(out io.Writer, engine string, recorded io.Reader, deliveries int64) error {
	p, err := profile.Parse(recorded)
	if err != nil {
		return err
	}
	if len(p.SampleType) != 2 || p.SampleType[1].Unit != "nanoseconds" || deliveries == 0 {
		return errors.New("profile: no CPU time, or no deliveries")
	}
	spent, total := make(map[string]int64), int64(0)
	for _, sample := range p.Sample {
		spent[partOf(sample)] += sample.Value[1]
		total += sample.Value[1]
	}
	names := []string{sinkPart.name}
	for _, list := range [][]part{parts, calls} {
		for _, p := range list {
			names = append(names, p.name)
		}
	}
	for _, name := range append(names, rest) {
		if ns := spent[name]; ns > 0 {
			fmt.Fprintf(out, "%-32s %-24s %9.1f µs %7.0f%%\n", engine, name,
				float64(ns)/1000/float64(deliveries), 100*float64(ns)/float64(total))
		}
	}
	return nil
}

// partOf returns the name of the part that a sample belongs to.
func partOf(sample *profile.Sample) string {
	var stack []string // the innermost function first
	for _, location := range sample.Location {
		for _, line := range location.Line {
			stack = append(stack, line.Function.Name)
		}
	}
	for _, function := range stack {
		if sinkPart.has(function, strings.HasPrefix) {
			return sinkPart.name
		}
	}
	for _, function := range stack {
		for _, p := range parts {
			if !p.has(function, strings.HasPrefix) {
				continue
			}
			if p.name == "store" {
				return callOf(stack)
			}
			return p.name
		}
	}
	return rest
}

// callOf returns what the store was asked for.
func callOf(stack []string) string {
	for _, function := range stack {
		for _, p := range calls {
			if p.has(function, strings.HasSuffix) {
				return p.name
			}
		}
	}
	return "store"
}

func (p part) has(function string, matches func(string, string) bool) bool {
	for _, name := range p.functions {
		if matches(function, name) {
			return true
		}
	}
	return false
}
