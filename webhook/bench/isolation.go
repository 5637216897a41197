package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// attack is what an organization does to others, or to an endpoint of its own.
type attack struct {
	name          string
	subscriptions int
	channels      int    // of each
	path          string // of its endpoints
	timeout       int    // of their attempts, in seconds
	events        int    // at first; with more, as many each second
	more          bool
	own           bool   // the victim's organization does it
	template      string // of the payload; the victim has one too, which is cheap
	size          int    // of the events, in bytes, beyond what all have
}

// burning is a template that takes nearly as much CPU as the limits of templates allow.
const burning = `{"x": "{% for i in range(9000) %}{% set x = '%.1000e' % 1.7e308 %}{% endfor %}"}`

var attacks = []attack{
	{name: "11 webhooks of 50 silent channels", subscriptions: 11, channels: 50, path: "/silent",
		timeout: 300, events: 50},
	{name: "2000 silent endpoints", subscriptions: 2000, channels: 1, path: "/silent", timeout: 10,
		events: 50},
	{name: "550 silent ones beside it", subscriptions: 550, channels: 1, path: "/silent", timeout: 10,
		events: 20, own: true},
	{name: "100 endpoints fail at once", subscriptions: 2, channels: 50, path: "/fails", timeout: 10,
		events: 5, more: true},
	{name: "500 endpoints drip", subscriptions: 10, channels: 50, path: "/drips", timeout: 10,
		events: 20, more: true},
	{name: "100 templates burn CPU", subscriptions: 2, channels: 50, path: "/answers", timeout: 10,
		events: 5, more: true, template: burning},
	{name: "50 endpoints get events of 200 KB", subscriptions: 1, channels: 50, path: "/answers",
		timeout: 10, events: 2, more: true, size: 200_000},
	{name: "50 silent ones are sent 70 MB", subscriptions: 1, channels: 50, path: "/silent",
		timeout: 10, events: 350, size: 200_000},
}

// victimPause is the time between two of the victim's events.
const victimPause = 10 * time.Millisecond

// isolation prints what a victim, which emits a hundred events a second for one
// endpoint, sees of what others do.
func isolation(ctx context.Context, o options, s *sink, out io.Writer) error {
	hostile, err := startHostile(ctx)
	if err != nil {
		return err
	}
	defer hostile.stop()
	fmt.Fprintf(out, "%-16s %-36s %10s %10s %10s %10s\n", "isolation", "others", "emitted",
		"delivered", "p50", "p99")
	for _, name := range o.stores() {
		for _, a := range attacks {
			if !o.attacks.MatchString(a.name) {
				continue
			}
			if err := isolationOf(ctx, o, s, out, name, hostile.url, a); err != nil {
				return fmt.Errorf("%s: %s: %w", name, a.name, err)
			}
		}
	}
	return nil
}

func isolationOf(
	ctx context.Context, o options, s *sink, out io.Writer, name, hostile string, a attack,
) (err error) {
	o.inFlight, o.retention = 16, 0
	d, stop, err := runDispatcher(ctx, o, s, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	v := &victim{dispatcher: d, organization: "victim"}
	sub := newSubscription("victim", s.url)
	if a.template != "" {
		sub.Channels = []webhook.ChannelConfig{webhook.Via(httpendpoint.Config{
			URL: s.url, PayloadTemplate: json.RawMessage(`{"emitted_ns": "{{ metadata.emitted_ns }}"}`),
		})}
	}
	if err := d.CreateSubscription(ctx, sub); err != nil {
		return err
	}
	arrived := v.arrived.add
	s.onBody.Store(&arrived)
	defer s.onBody.Store(nil)
	if err := v.emit(ctx, o.duration); err != nil {
		return err
	}
	v.print(out, name, "none")

	organization := "attacker"
	if a.own {
		organization = "victim"
	}
	if err := a.begin(ctx, d, organization, hostile); err != nil {
		return err
	}
	attacking, end := context.WithCancel(ctx)
	var others sync.WaitGroup
	others.Go(func() {
		for a.more && a.emit(attacking, d, organization) == nil {
			pause(attacking, time.Second)
		}
	})
	pause(ctx, 2*time.Second)
	err = v.emit(ctx, 2*o.duration)
	end()
	others.Wait()
	v.print(out, name, a.name)
	return err
}

// begin subscribes the attack's endpoints and emits for them.
func (a attack) begin(
	ctx context.Context, d *dispatch.Dispatcher, organization, hostile string,
) error {
	for i := range a.subscriptions {
		sub := &webhook.Subscription{OrganizationID: organization, Name: "attack",
			EventTypes: []event.Pattern{"attack.*"}}
		for j := range a.channels {
			sub.Channels = append(sub.Channels, webhook.Via(httpendpoint.Config{
				URL: fmt.Sprintf("%s%s/%d/%d", hostile, a.path, i, j), Timeout: float64(a.timeout),
				PayloadTemplate: json.RawMessage(a.template),
			}))
		}
		if err := d.CreateSubscription(ctx, sub); err != nil {
			return err
		}
	}
	return a.emit(ctx, d, organization)
}

func (a attack) emit(ctx context.Context, d *dispatch.Dispatcher, organization string) error {
	for range a.events {
		e := newEvent()
		e.Type, e.OrganizationID = "attack.began", organization
		if a.size > 0 {
			e.Metadata["blob"] = strings.Repeat("x", a.size)
		}
		if _, err := d.Emit(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// victim is one organization's traffic.
type victim struct {
	dispatcher   *dispatch.Dispatcher
	organization string

	arrived arrivals
	n       int
}

// emit emits at a steady rate, and waits a little for what is on its way.
func (v *victim) emit(ctx context.Context, duration time.Duration) error {
	v.arrived.reset()
	v.n = 0
	for start := time.Now(); time.Since(start) < duration; {
		e := newEvent()
		e.OrganizationID = v.organization
		if _, err := v.dispatcher.Emit(ctx, e); err != nil {
			return err
		}
		v.n++
		pause(ctx, victimPause)
	}
	pause(ctx, 500*time.Millisecond)
	return ctx.Err()
}

func (v *victim) print(out io.Writer, store, others string) {
	fmt.Fprintf(out, "%-16s %-36s %10d %10d %10s %10s\n", engineNames[store], others, v.n,
		v.arrived.count(), v.arrived.at(0.5), v.arrived.at(0.99))
}
