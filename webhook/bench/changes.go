package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// crowd is webhooks that get nothing, and how often one of them is changed.
type crowd struct {
	subscriptions, organizations int
	configBytes                  int
	perSecond                    int
}

var crowds = []crowd{
	{subscriptions: 10_000, organizations: 1_000, configBytes: 60, perSecond: 20},
	{subscriptions: 1_000, organizations: 1, configBytes: 60 << 10, perSecond: 5},
}

const (
	changeCallers = 4
	changePause   = 10 * time.Millisecond
)

// changes prints what one organization can emit while another process changes
// webhooks of others.
func changes(ctx context.Context, o options, s *sink, out io.Writer) error {
	fmt.Fprintf(out, "%-24s %9s %8s %10s %10s %8s %10s %10s %10s\n", "emit beside changes",
		"webhooks", "KiB each", "created in", "changes/s", "made/s", "events/s", "of none", "p99")
	for _, name := range o.stores() {
		for _, c := range crowds {
			if err := changesOf(ctx, o, s, out, name, c); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func changesOf(
	ctx context.Context, o options, s *sink, out io.Writer, name string, c crowd,
) (err error) {
	e, err := newDispatcherEngine(ctx, o, s, name, shapes[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	admin, closeAdmin, err := e.store.again(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAdmin()) }()
	if err := e.start(ctx); err != nil {
		return err
	}
	began := time.Now()
	all, err := c.create(ctx, admin)
	if err != nil {
		return err
	}
	created := time.Since(began)
	// In turns, so that what else the machine does meets both alike.
	quiet, changed := &emits{}, &emits{}
	for range o.rounds {
		quiet.observe(ctx, o.duration, e, nil)
		changed.observe(ctx, o.duration, e,
			func(ctx context.Context) error { return c.change(ctx, admin, all, &changed.changes) })
	}
	if err := errors.Join(quiet.err, changed.err); err != nil {
		return err
	}
	for i, m := range []*emits{quiet, changed} {
		fmt.Fprintf(out, "%-24s %9d %8.1f %10s %10d %8.1f %10.0f %9.0f%% %10s\n", engineNames[name],
			c.subscriptions, float64(c.configBytes)/1024,
			created.Round(time.Millisecond), i*c.perSecond, m.rate(int(m.changes.Load())),
			m.rate(len(m.waits)),
			100*m.rate(len(m.waits))/quiet.rate(len(quiet.waits)),
			quantile(m.waits, 0.99).Round(10*time.Microsecond))
	}
	return nil
}

func (c crowd) create(ctx context.Context, admin webhook.Store) ([]*webhook.Subscription, error) {
	configs := json.RawMessage(`{"url":"https://example.com/","note":"` + strings.Repeat("x",
		c.configBytes) + `"}`)
	all := make([]*webhook.Subscription, c.subscriptions)
	for i := range all {
		at := time.Now().UTC()
		all[i] = &webhook.Subscription{
			ID: webhook.NewID(), OrganizationID: fmt.Sprint("org_", i%c.organizations), Name: "one of many",
			EventTypes: []event.Pattern{"nothing.*"}, CreatedAt: at, UpdatedAt: at,
			Channels: []webhook.ChannelConfig{{Channel: httpendpoint.Name, Configs: configs}},
		}
		if err := admin.CreateSubscription(ctx, all[i], webhook.Quota{}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// change updates one webhook after the other until ctx ends.
func (c crowd) change(
	ctx context.Context, admin webhook.Store, all []*webhook.Subscription, made *atomic.Int64,
) error {
	ticker := time.NewTicker(time.Second / time.Duration(c.perSecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		sub := all[int(made.Add(1))%len(all)]
		sub.Name = fmt.Sprint("changed ", made.Load())
		if err := admin.UpdateSubscription(context.WithoutCancel(ctx), sub, webhook.Quota{}); err != nil {
			return err
		}
	}
}

// emits is what was emitted, and what was changed meanwhile.
type emits struct {
	mu      sync.Mutex
	waits   []time.Duration
	err     error
	elapsed time.Duration
	changes atomic.Int64
}

func (m *emits) rate(n int) float64 { return float64(n) / cmp.Or(m.elapsed, 1).Seconds() }

// observe lets a few callers emit beside another for a while.
func (m *emits) observe(
	ctx context.Context, d time.Duration, e engine, beside func(context.Context) error,
) {
	during, stop := context.WithTimeout(ctx, d)
	defer stop()
	var wg sync.WaitGroup
	if beside != nil {
		wg.Go(func() { m.failed(beside(during)) })
	}
	began := time.Now()
	for range changeCallers {
		wg.Go(func() {
			for during.Err() == nil {
				at := time.Now()
				err := e.emit(ctx)
				m.add(time.Since(at), err)
				pause(during, changePause)
			}
		})
	}
	wg.Wait()
	m.elapsed += time.Since(began)
}

func (m *emits) add(wait time.Duration, err error) {
	m.mu.Lock()
	m.waits = append(m.waits, wait)
	m.mu.Unlock()
	m.failed(err)
}

func (m *emits) failed(err error) {
	if err == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = err
	}
}
