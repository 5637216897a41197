package main

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

var listenCommand = command{
	name: "listen", args: "WEBHOOK URL", short: "Forward what is emitted to a webhook to a local URL",
	long: `
Reads the tail of the webhook over the API, and posts each event to URL: the
same bytes, headers and signature as a delivery has, because the same code makes
them. Nothing has to be reachable from outside, and the webhook's own deliveries
go on. The webhook may be paused.

It begins with what is emitted from now on; --since begins earlier, and --after
goes on where an earlier call ended. An event is posted once, whatever the
answer, and once more each time that its delivery is replayed.

Secrets come from the API, if the key may reveal them, unless they are given:
the receiver needs the same ones.`,
	example: `
webhooks listen wh_0123456789 http://127.0.0.1:8081/webhooks
webhooks listen --since 1h --event-type 'object.*' wh_0123456789 \
    http://127.0.0.1:8081/webhooks`,
	setup: func(s *flagSet) action {
		var o listenOptions
		o.tailOptions.declare(s)
		o.credentials.declare(s)
		s.StringVar(&o.channelKey, "channel", "", "`channel` of the webhook (default the first that posts "+
			"to a URL)")
		return func(ctx context.Context, a *app, args []string) error {
			return a.listen(ctx, o, args[0], args[1])
		}
	},
}

type listenOptions struct {
	tailOptions
	forwardOptions
}

func (a *app) listen(ctx context.Context, o listenOptions, webhookID, target string) error {
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usagef("URL must be an http or https URL, such as http://127.0.0.1:8081/webhooks")
	}
	o.target = target
	c, err := o.tailClient(a)
	if err != nil {
		return err
	}
	f, err := a.newForwarder(ctx, c.Client, webhookID, o.forwardOptions)
	if err != nil {
		return err
	}
	q, err := o.query(c.dates)
	if err != nil {
		return err
	}
	return a.forwardAll(ctx, c, f, q, o)
}

// forwardAll forwards what the tail has, and what is replayed, until ctx ends. Whatever ends it, it
// says where it ended.
func (a *app) forwardAll(
	ctx context.Context, c *tailClient, f *forwarder, q client.TailQuery, o listenOptions,
) error {
	a.notef("Forwarding what is emitted to %s to %s. Ctrl-C ends it.\n", visible(f.subscriptionID),
		visible(o.target))
	n, failed := 0, 0
	defer func() {
		a.notef("%s forwarded, %d failed.\n", counted(n, "event", "events"), failed)
		if q.After > 0 {
			a.notef("To go on from here: --after %s\n", q.After)
		}
	}()
	for e, err := range f.events(ctx, c, q) {
		if err != nil {
			return err
		}
		began := time.Now()
		// Ctrl-C lets a request end, so that --after says exactly what has arrived.
		r := f.forward(context.WithoutCancel(ctx), e)
		q.After = max(q.After, e.Position)
		if n++; !r.Succeeded {
			failed++
		}
		if !r.Succeeded && r.StatusCode == 0 && failed == 1 {
			a.notef("There was no answer: is a server running at %s?\n", visible(o.target))
		}
		if err := a.printForwarded(r, time.Since(began)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// events returns what is emitted and, without a position, what is replayed. One goroutine reads each
// of the two, and hands over an event when the one before has been forwarded.
func (f *forwarder) events(
	ctx context.Context, c *tailClient, q client.TailQuery,
) iter.Seq2[*api.TailEvent, error] {
	return func(yield func(*api.TailEvent, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		type item struct {
			event *api.TailEvent
			err   error
		}
		items := make(chan item)
		var readers sync.WaitGroup
		read := func(from iter.Seq2[*api.TailEvent, error]) {
			readers.Go(func() {
				for e, err := range from {
					select {
					case items <- item{e, err}:
					case <-ctx.Done():
						return
					}
				}
			})
		}
		read(c.streams.Tail(ctx, f.subscriptionID, q))
		read(f.replays(ctx, c, client.TailQuery{Since: q.Since, EventType: q.EventType}))
		go func() {
			readers.Wait()
			close(items)
		}()
		for i := range items {
			if !yield(i.event, i.err) {
				return
			}
		}
	}
}

// replays returns the events of deliveries of the channel that are replayed, from now on without a
// Since. A service whose store does not tell of them has none.
func (f *forwarder) replays(
	ctx context.Context, c *tailClient, q client.TailQuery,
) iter.Seq2[*api.TailEvent, error] {
	return func(yield func(*api.TailEvent, error) bool) {
		if q.Since.IsZero() {
			q.Since = c.dates.now()
		}
		for r, err := range c.streams.TailResults(ctx, f.subscriptionID, q) {
			switch {
			case errors.Is(err, webhook.ErrNotFound):
				return
			case err != nil:
				yield(nil, err)
				return
			case !r.Replayed() || r.Channel != f.channelKey:
				continue
			}
			var payload []byte
			e, err := c.Event(ctx, f.subscriptionID, r.DeliveryID)
			if err == nil {
				payload, err = e.MarshalJSON()
			}
			switch {
			case errors.Is(err, webhook.ErrNotFound): // removed in the meantime
			case !yield(&api.TailEvent{SubscriptionID: r.SubscriptionID, EventID: r.EventID,
				EventType: r.EventType, Event: payload}, err):
				return
			}
		}
	}
}

func (a *app) printForwarded(r forwarded, took time.Duration) error {
	if a.json {
		if err := a.object(r); err != nil {
			return err
		}
		return a.flush()
	}
	word := a.green(a.stdout, "accepted")
	if !r.Succeeded {
		word = a.red(a.stdout, "failed")
	}
	a.printf("%s  %s  %s  %s after %s%s\n", time.Now().Format(time.TimeOnly), visible(r.EventID),
		visible(r.EventType), word, short(took), visible(answerOf(r.StatusCode, r.Error)))
	if r.Response != "" && !r.Succeeded {
		a.printf("          it answered: %s\n", visible(r.Response))
	}
	return a.flush()
}
