// Command bench measures the Dispatcher beside a bare HTTP POST loop, in one
// process and one run, so that its figures can be read as ratios:
//
//	go run ./webhook/bench
//
// It starts a sink on loopback that answers every POST with 200, and then, in
// rounds: posts the same payload with nothing but net/http at several
// concurrencies; emits and delivers it with the Dispatcher on each store. CPU
// time and allocations are those of the whole process, so they include the
// sink's share, which is the same for all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"
)

type options struct {
	stores   []string
	duration time.Duration
	rounds   int
	inFlight int
	rates    []int
	callers  []int
	dir, dsn string
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o := options{rates: []int{200, 2000}, callers: []int{1, 16, 128}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	stores := flags.String("stores", "memstore,sqlite", "stores to measure, separated by commas")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "length of one measurement")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of throughput measurements; medians are printed")
	flags.IntVar(&o.inFlight, "inflight", 64, "requests in flight of the Dispatcher")
	flags.StringVar(&o.dir, "dir", "", "folder for database files (default: a temporary one)")
	flags.StringVar(&o.dsn, "dsn", "", "connection string of a PostgreSQL database, for the store postgres")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.stores = strings.Split(*stores, ",")
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "webhooks-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.dir = dir
	}
	target, err := startSink(ctx)
	if err != nil {
		return err
	}
	defer target.close()

	fmt.Fprintf(out, "%s, %d CPUs, payload %d bytes, %d rounds of %s\n\n",
		runtime.Version(), runtime.GOMAXPROCS(0), len(examplePayload()), o.rounds, o.duration)
	for _, part := range []func(context.Context, options, *sink, io.Writer) error{throughput, latency, emitAlone} {
		if err := part(ctx, o, target, out); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	return nil
}
