// Command bench measures the Dispatcher beside a bare HTTP POST loop and beside
// job queues, in one process and one run, so that its figures can be read as
// ratios:
//
//	go run ./webhook/bench
//	go run ./webhook/bench -with sqlite,postgres,river,asynq -dsn postgres://localhost/test
//	go run ./webhook/bench -measure backlog,growth
//	go run ./webhook/bench -measure throughput -shape one -transport http,https
//	go run ./webhook/bench -measure profile
//
// It starts a sink on loopback that answers every POST with 200. In rounds, it posts the same
// payload with nothing but net/http, or fasthttp, at several concurrencies, and emits and delivers
// it with each engine: the Dispatcher on a store, or River or asynq with one job for each delivery,
// which is what a Go team would otherwise write. They know no subscriptions, so the caller is taken
// to know how many an event has. What was delivered half a second ago is pruned, so
// that as much goes as comes. Ratios are to the best of the loops on net/http. CPU time and
// allocations are those of the whole process, so they include the sink's share, which is the same
// for all, and not that of a database server. What is written is what the process has the kernel
// write, or the server's write-ahead log.
//
// River and asynq are required by this module alone. In the workspace they raise
// the version of no module that another one compiles; newer versions of River
// (from 0.44, and go 1.26 from 0.45) would.
//
// # What is where
//
//   - main.go: the options, and which measurements run
//   - engine.go, dispatcher.go, river.go, asynq.go, poster.go: what is measured
//   - throughput.go, latency.go, backlog.go, drain.go, beside.go, growth.go, changes.go, emitalone.go,
//     isolation.go, hanging.go, wide.go, shapes.go, profile.go: the measurements
//   - hostile.go: the endpoints of tables isolation and hanging
//   - stores.go, servers.go, sink.go, payload.go: stores, databases, the endpoint, the payload
//   - usage.go: CPU time and allocations
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

type options struct {
	engines         []string
	duration        time.Duration
	rounds          int
	inFlight        int
	rates           []int
	callers         []int
	pending         []int
	perRound        int
	shapes          []shape
	tls             []bool
	retention       time.Duration // 0 is the default
	attacks         *regexp.Regexp
	hold            bool
	dir, dsn, redis string
}

// measurement prints a table.
type measurement func(context.Context, options, *sink, io.Writer) error

var measurements = map[string]measurement{
	"throughput": throughput,
	"latency":    latency,
	"emit":       emitAlone,
	"backlog":    backlog,
	"drain":      drain,
	"beside":     beside,
	"growth":     growth,
	"changes":    changes,
	"isolation":  isolation,
	"hanging":    hanging,
	"wide":       wide,
	"profile":    profileParts,
}

// measurementNames are in the order in which it makes most sense to print them.
const measurementNames = "throughput, latency, emit, profile, backlog, drain, beside, growth, " +
	"changes, isolation, hanging, wide"

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if os.Getenv(hostileVariable) != "" {
		return serveHostile(ctx)
	}
	o, measure, err := parseOptions(args)
	if err != nil {
		return err
	}
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

	fmt.Fprintf(out, "%s, %d CPUs, payload %d bytes, %d rounds of %s\n",
		runtime.Version(), runtime.GOMAXPROCS(0), len(examplePayload()), o.rounds, o.duration)
	if err := printServers(ctx, o, out); err != nil {
		return err
	}
	for _, m := range measure {
		fmt.Fprintln(out)
		if err := m(ctx, o, target, out); err != nil {
			return err
		}
	}
	return nil
}

func parseOptions(args []string) (o options, measure []measurement, err error) {
	o = options{rates: []int{200, 2000}, callers: []int{1, 16, 128}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	with := flags.String("with", "memstore,sqlite",
		"engines to measure, separated by commas: memstore, sqlite, postgres, river, asynq")
	tables := flags.String("measure", "throughput,latency,emit",
		"tables to print, separated by commas: "+measurementNames)
	shapeNames := flags.String("shape", "one,endpoints,fanout",
		"what table throughput delivers, separated by commas: one (to one endpoint), endpoints (to 1000), "+
			"fanout (each event to 100)")
	transport := flags.String("transport", "http",
		"what table throughput delivers over, separated by commas: http, https")
	prune := flags.Bool("prune", true,
		"prune what was delivered 500 ms ago, in tables throughput, latency and profile")
	attackNames := flags.String("attack", "", "regular expression of the attacks of table isolation")
	flags.BoolVar(&o.hold, "hold", false,
		"keep a transaction open in the database meanwhile, in table backlog on PostgreSQL")
	pending := flags.String("pending", "1000,100000,1000000",
		"pending deliveries of tables backlog, drain and beside, separated by commas")
	flags.IntVar(&o.perRound, "growth-round", 25_000, "deliveries of each round of table growth")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "length of one measurement")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of throughput measurements; medians are printed")
	flags.IntVar(&o.inFlight, "inflight", 64, "requests in flight of each engine")
	flags.StringVar(&o.dir, "dir", "", "folder for database files (default: a temporary one)")
	flags.StringVar(&o.dsn, "dsn", "",
		"connection string of a PostgreSQL database, for postgres and river")
	flags.StringVar(&o.redis, "redis", "redis://127.0.0.1:6379/0", "URL of a Redis, for asynq")
	if err := flags.Parse(args); err != nil {
		return o, nil, err
	}
	if o.engines, err = parseEngines(*with); err != nil {
		return o, nil, err
	}
	if o.shapes, err = parseShapes(*shapeNames); err != nil {
		return o, nil, err
	}
	for _, name := range strings.Split(*transport, ",") {
		if name != "http" && name != "https" {
			return o, nil, fmt.Errorf("-transport: there is no %q, but http, https", name)
		}
		o.tls = append(o.tls, name == "https")
	}
	if o.attacks, err = regexp.Compile(*attackNames); err != nil {
		return o, nil, fmt.Errorf("-attack: %w", err)
	}
	if *prune {
		o.retention = retention
	}
	for _, s := range strings.Split(*pending, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < claimSize {
			return o, nil, fmt.Errorf("-pending: %q is not a number of at least %d", s, claimSize)
		}
		o.pending = append(o.pending, n)
	}
	for _, name := range strings.Split(*tables, ",") {
		m, ok := measurements[name]
		if !ok {
			return o, nil,
				fmt.Errorf("-measure: there is no %q, but %s", name, measurementNames)
		}
		measure = append(measure, m)
	}
	return o, measure, nil
}
