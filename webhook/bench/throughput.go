package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

var bareConcurrencies = []int{8, 16, 32, 64, 128}

// throughput prints deliveries per second of bare POST loops and of each
// engine, measured in turn, for each shape, over plain HTTP and over TLS.
func throughput(ctx context.Context, o options, s *sink, out io.Writer) error {
	for _, tls := range o.tls {
		for _, shape := range o.shapes {
			if err := throughputOf(ctx, o, s.over(tls), out, shape); err != nil {
				return err
			}
		}
	}
	return nil
}

func throughputOf(ctx context.Context, o options, s *sink, out io.Writer, shape shape) error {
	samples := make(map[string][]usage)
	var names []string
	measure := func(name string, f func() (usage, error)) error {
		u, err := f()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, ok := samples[name]; !ok {
			names = append(names, name)
		}
		samples[name] = append(samples[name], u)
		return ctx.Err()
	}
	bare := 0
	for range o.rounds {
		bare = 0
		for _, loop := range bareLoops {
			for _, c := range bareConcurrencies {
				bare++
				name := fmt.Sprintf("bare POST loop, %s, %d at a time", loop.name, c)
				if err := measure(name, func() (usage, error) {
					return barePosts(ctx, o, s, c, loop.start)
				}); err != nil {
					return err
				}
			}
		}
		for _, name := range o.engines {
			if err := measure(engineNames[name], func() (usage, error) {
				return delivered(ctx, o, s, name, shape)
			}); err != nil {
				return err
			}
		}
	}
	rate := func(name string) float64 { return median(samples[name], usage.perSecond) }
	best := 0.0
	for _, name := range names[:bare] {
		if strings.Contains(name, netHTTP) {
			best = max(best, rate(name))
		}
	}
	fmt.Fprintf(out, "%-44s %12s %8s %14s %12s %14s\n", "deliveries to "+s.String()+", "+shape.String(),
		"per second", "ratio", "CPU each", "allocs each", "written each")
	for _, name := range names {
		written := ""
		if bytes := median(samples[name], usage.writtenEach); bytes > 0 {
			written = fmt.Sprintf("%.0f bytes", bytes)
		}
		fmt.Fprintf(out, "%-44s %12.0f %8.2f %11.1f µs %12.0f %14s\n", name, rate(name), rate(name)/best,
			median(samples[name], usage.cpuEach), median(samples[name], usage.allocsEach), written)
	}
	fmt.Fprintln(out)
	return nil
}

// netHTTP is the client that ratios are to: what a Go program posts with if nothing else is said.
const netHTTP = "net/http"

// bareLoops are clients that post and store nothing. start makes one, and returns how it posts once.
var bareLoops = []struct {
	name  string
	start func(s *sink, concurrency int) (post func(payload []byte) error, stop func())
}{
	{netHTTP, func(s *sink, concurrency int) (func([]byte) error, func()) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConns: concurrency,
			MaxIdleConnsPerHost: concurrency, TLSClientConfig: s.trust()}}
		return func(payload []byte) error {
			resp, err := client.Post(s.url, "application/json", bytes.NewReader(payload))
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.Body.Close()
		}, client.CloseIdleConnections
	}},
	{"fasthttp", func(s *sink, concurrency int) (func([]byte) error, func()) {
		client := &fasthttp.Client{MaxConnsPerHost: concurrency, TLSConfig: s.trust()}
		return func(payload []byte) error {
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(resp)
			req.SetRequestURI(s.url)
			req.Header.SetMethod(http.MethodPost)
			req.Header.SetContentType("application/json")
			req.SetBodyRaw(payload)
			return client.Do(req, resp)
		}, client.CloseIdleConnections
	}},
}

// barePosts posts as fast as it can.
func barePosts(
	ctx context.Context, o options, s *sink, concurrency int,
	start func(*sink, int) (func([]byte) error, func()),
) (usage, error) {
	post, stop := start(s, concurrency)
	defer stop()
	payload := examplePayload()
	var stopped atomic.Bool
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range concurrency {
		wg.Go(func() {
			for !stopped.Load() {
				if err := post(payload); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	u := observe(ctx, o.duration, s, nil)
	stopped.Store(true)
	wg.Wait()
	if err := failed.Load(); err != nil {
		return u, *err
	}
	return u, nil
}

// delivered emits as fast as deliveries arrive. Emitters wait for the sink
// when eight times as much is on its way as can be in flight, so that what is
// measured is a steady state and not a growing backlog.
func delivered(
	ctx context.Context, o options, s *sink, name string, shape shape,
) (usage, error) {
	e, err := startEngine(ctx, o, s, name, shape)
	if err != nil {
		return usage{}, err
	}
	emitters, sent := 8*o.inFlight, newOnTheWay(8*o.inFlight)
	arrived := func([]byte) { sent.arrived() }
	s.onBody.Store(&arrived)
	defer s.onBody.Store(nil)

	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range emitters {
		wg.Go(func() {
			for sent.add(shape.subscriptions) {
				if err := e.emit(ctx); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	var written func(context.Context) (int64, error)
	if d, ok := e.(*dispatcherEngine); ok {
		written = d.store.written
	}
	u := observe(ctx, o.duration, s, written)
	sent.close()
	wg.Wait()
	if failed.Load() == nil {
		err = errors.Join(u.err, eventually(ctx, sent.empty))
	} else {
		err = *failed.Load()
	}
	return u, errors.Join(err, e.close())
}

func median(samples []usage, of func(usage) float64) float64 {
	values := make([]float64, len(samples))
	for i, u := range samples {
		values[i] = of(u)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
