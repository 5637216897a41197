// Command quickstart shows the whole way of an event in one process: an emitter publishes events,
// stores them in SQLite and delivers them; a consumer receives them over HTTP, handles each one
// once, and drops from its cache what they make stale. Finally one event goes to a webhook, to
// Slack, by mail and by text message.
//
// It checks everything that it prints, and exits with 1 if one of these things did not happen.
// emitter.go is the publishing half and consumer.go the receiving half; ../emitter and ../receiver
// are the same as two servers. subscriptions.go says which events go where, and channels.go how
// they are sent.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
)

func main() {
	db := flag.String("db", "", "SQLite `file` that keeps the state; a temporary one if empty")
	serve := flag.Bool("serve", false, "go on, with an event every few seconds and the web console, until interrupted")
	flag.Parse()
	every := time.Duration(0)
	if *serve {
		every = 3 * time.Second
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *db, every)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run tells the story on out. Unless every is zero it then goes on with an event
// each time so much has passed, until ctx is cancelled.
func run(ctx context.Context, out io.Writer, db string, every time.Duration) (err error) {
	r := &report{out: out}
	secret := rand.Text() // what emitter and consumer have agreed on

	r.scene("A consumer listens, and an emitter subscribes it")
	consumer, err := startConsumer(ctx, secret)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, consumer.close()) }()
	outside, err := startStandIns(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, outside.close()) }()
	channels, mail, err := newChannels(outside)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mail.Close()) }()
	emitter, err := startEmitter(ctx, db, channels)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, emitter.close()) }()
	subscription := searchCache(consumer.url, secret)
	if err := emitter.dispatcher.PutSubscription(ctx, subscription); err != nil {
		return err
	}
	r.printf("   consumer      %s\n", consumer.url)
	r.printf("   database      %s\n", emitter.db)
	r.subscription(subscription)

	r.scene("Events are emitted, stored and delivered")
	events := documentedEvents()
	for _, e := range events {
		deliveries, err := emitter.deliver(ctx, e)
		if err != nil {
			return err
		}
		r.deliveries(deliveries)
		if e.Type == flakyType {
			r.check(statuses(deliveries) == "503 503 200", "%s failed twice and then succeeded", e.Type)
		} else {
			r.check(statuses(deliveries) == "200", "%s was delivered at the first attempt", e.Type)
		}
		r.check(consumer.timesHandled(e) == 1, "%s was handled once", e.Type)
	}

	r.scene("The first event is emitted again, and then replayed")
	again, err := emitter.deliver(ctx, events[0])
	if err != nil {
		return err
	}
	r.check(len(again) == 1 && statuses(again) == "200",
		"emitted again, it was recognised by its event_id: nothing was sent")
	replayed, err := emitter.replay(ctx, again)
	if err != nil {
		return err
	}
	r.deliveries(replayed)
	r.check(statuses(replayed) == "200 200", "replayed, it was sent once more")
	r.check(consumer.duplicates() == 1, "the consumer recognised the duplicate and acknowledged it")
	r.check(consumer.timesHandled(events[0]) == 1, "it was still handled only once")

	r.scene("A stranger posts an event with a wrong secret")
	forged := objectCreated()
	status, err := postForged(ctx, consumer.url, forged)
	if err != nil {
		return err
	}
	r.check(status == 401, "the consumer refused it with %d", status)
	r.check(consumer.timesHandled(forged) == 0, "it was not handled")

	r.scene("The consumer dropped from its cache what the events made stale")
	for _, e := range events {
		dropped := consumer.cache.droppedBy(e)
		r.check(len(dropped) == 1, "%s dropped one key: %s", e.Type, strings.Join(dropped, ", "))
	}
	r.check(consumer.cache.has(unrelatedKey), "%s, which no event concerns, is still cached",
		unrelatedKey)

	r.scene("One event goes to a webhook, to Slack, by mail and by text message")
	everywhere := onCall(consumer.url, secret, outside.url+slackPath)
	if err := emitter.dispatcher.PutSubscription(ctx, everywhere); err != nil {
		return err
	}
	r.subscription(everywhere)
	alert := alertTriggered()
	deliveries, err := emitter.deliver(ctx, alert)
	if err != nil {
		return err
	}
	r.deliveries(deliveries)
	r.check(succeeded(deliveries) == 4, "it was delivered over four channels")
	r.check(consumer.timesHandled(alert) == 1, "webhook: the consumer handled it once")
	for _, name := range []string{slack.Name, email.Name, sms.Name} {
		texts := outside.received(name)
		r.check(len(texts) == 1, "%s: %s", name, strings.Join(texts, ", "))
	}

	r.summary(len(events)+1, consumer)
	if err := r.err(); err != nil || every == 0 {
		return err
	}
	return serve(ctx, r, emitter, every)
}

// serve serves the console, and emits one documented event after the other.
func serve(ctx context.Context, r *report, emitter *emitter, every time.Duration) (err error) {
	r.scene("Serving until interrupted")
	ctx, cancel := context.WithCancel(ctx)
	url, stopped, err := serveConsole(ctx, emitter.dispatcher, consoleAddr)
	defer func() {
		cancel()
		if stopped != nil {
			err = errors.Join(err, <-stopped)
		}
	}()
	if err != nil {
		r.printf("   no console    %v\n", err) // such as a port that is taken
	} else {
		r.printf("   console       %s\n", url)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		for _, e := range documentedEvents() {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
			deliveries, err := emitter.deliver(ctx, e)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			r.deliveries(deliveries)
		}
	}
}
