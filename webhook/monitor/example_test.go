package monitor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
	"github.com/mixpeek/webhooks-go/webhook/monitor"
)

// Page on sustained non-2xx, without any other program: the operator subscribes to the operational
// events, by whatever channel wakes people up.
func Example() {
	m, err := monitor.New(monitor.Config{Organization: "operator"})
	check(err)
	paged := make(chan struct{})
	channels := exampleChannels(func(_ context.Context, m *channel.Message) (channel.Result, error) {
		fmt.Println("page:", describe(m.Payload))
		close(paged)
		return channel.Result{}, nil
	})
	d, err := dispatch.New(memstore.New(), dispatch.Config{Channels: channels, Hooks: m.Hooks(),
		Lifecycle: dispatch.Lifecycle{DegradedAfter: time.Millisecond}}) // 1 minute by default
	check(err)
	stop := runBoth(d, m)
	check(d.CreateSubscription(context.Background(), &webhook.Subscription{
		Name: "on-call", OrganizationID: "operator",
		EventTypes: []event.Pattern{monitor.WebhookDegraded},
		Channels:   []webhook.ChannelConfig{{Channel: "pager", Configs: json.RawMessage(`{}`)}},
	}))

	breakEndpoint(d)
	<-paged
	stop()
	// Output:
	// page: an endpoint of acme is degraded: the endpoint answered 500 Internal Server Error
}

// Mail the owner of a broken endpoint: the customer subscribes to the events about its endpoints,
// with an ordinary mail channel.
func Example_mailTheOwner() {
	m, err := monitor.New(monitor.Config{Audience: monitor.Customer})
	check(err)
	mailed := make(chan struct{})
	channels := exampleChannels(nil)
	check(channels.Register(email.Name, outbox(mailed))) // standard.Config.SMTP in a service
	d, err := dispatch.New(memstore.New(), dispatch.Config{Channels: channels, Hooks: m.Hooks(),
		Lifecycle: dispatch.Lifecycle{DegradedAfter: time.Millisecond}})
	check(err)
	stop := runBoth(d, m)
	check(d.CreateSubscription(context.Background(), &webhook.Subscription{
		Name: "tell us about our endpoints", OrganizationID: "acme",
		EventTypes: []event.Pattern{"webhook.*"},
		Channels: []webhook.ChannelConfig{webhook.Via(email.Config{
			ToAddresses:     []string{"it@acme.example"},
			SubjectTemplate: `Your {{ metadata.channel }} is {{ metadata.health }}`,
			BodyTemplate: `{{ metadata.error }}
{%- if metadata.status_code >= 500 %}. Please look at the logs of your server.{% endif %}`,
			ContentType: email.ContentPlainText,
		})},
	}))

	breakEndpoint(d)
	<-mailed
	stop()
	// Output:
	// To: [it@acme.example]
	// Subject: Your shop is degraded
	//
	// the endpoint answered 500 Internal Server Error. Please look at the logs of your server.
}

// List the operational events together with those of the service, for the management API.
func ExampleTypes() {
	catalogue := append(event.Mixpeek(), monitor.Types()...)
	fmt.Println(catalogue.Validate())
	for _, info := range monitor.Types() {
		fmt.Println(info.Type)
	}
	// Output:
	// <nil>
	// webhook.degraded
	// webhook.failing
	// webhook.disabled
	// webhook.recovered
	// webhook.refusing
	// delivery.dead
	// backlog.growing
	// backlog.cleared
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// exampleChannels are a channel "shop" that always fails, and a channel "pager".
func exampleChannels(page channel.Func) *channel.Registry {
	channels := channel.NewRegistry()
	check(channels.Register("shop", channel.Func(
		func(context.Context, *channel.Message) (channel.Result, error) {
			time.Sleep(2 * time.Millisecond)
			return channel.Result{}, channel.Classify(http.StatusInternalServerError, nil, time.Now())
		})))
	if page != nil {
		check(channels.Register("pager", page))
	}
	return channels
}

// runBoth runs a Dispatcher and its Monitor, until the returned function is called.
func runBoth(d *dispatch.Dispatcher, m *monitor.Monitor) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { check(d.Run(ctx)) })
	running.Go(func() { check(m.Run(ctx, d)) })
	return func() {
		cancel()
		running.Wait()
	}
}

// breakEndpoint emits events for an endpoint of the organization "acme" that always fails.
func breakEndpoint(d *dispatch.Dispatcher) {
	check(d.CreateSubscription(context.Background(), &webhook.Subscription{
		Name: "shop", OrganizationID: "acme", EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{{Channel: "shop", Configs: json.RawMessage(`{}`)}},
	}))
	for range 20 {
		e := event.New(event.ObjectCreated, event.Subject{Type: "object", ID: "obj_1"})
		e.Namespace, e.OrganizationID = "shops", "acme"
		_, err := d.Emit(context.Background(), e)
		check(err)
	}
}

// describe says in a line what happened to an endpoint.
func describe(payload []byte) string {
	var e struct {
		Metadata struct {
			Organization string `json:"organization_id"`
			Health       webhook.Health
			Error        string
		}
	}
	check(json.Unmarshal(payload, &e))
	m := e.Metadata
	return fmt.Sprintf("an endpoint of %s is %s: %s", m.Organization, m.Health, m.Error)
}

// outbox is a driver that prints a mail instead of sending it.
func outbox(mailed chan<- struct{}) channel.Driver {
	return channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
		r := channelkit.ReadConfig(config, nil)
		to, _ := r.Get("to_addresses")
		subject := r.TextTemplate("subject_template", template.FormatPlain)
		body := r.TextTemplate("body_template", template.FormatPlain)
		send := func(ctx context.Context, m *channel.Message) (channel.Result, error) {
			s, err := subject.Render(ctx, m)
			check(err)
			b, err := body.Render(ctx, m)
			check(err)
			var addresses []string
			check(json.Unmarshal(to, &addresses))
			fmt.Printf("To: %v\nSubject: %s\n\n%s\n", addresses, s, b)
			close(mailed)
			return channel.Result{}, nil
		}
		return channel.Func(send), r.Problems.Err()
	})
}
