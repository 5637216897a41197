package main

import (
	"net"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/api/client"
)

// tailOptions are the flags of commands that read a tail.
type tailOptions struct {
	connection
	eventType, after string
	since            timeValue
}

func (o *tailOptions) declare(s *flagSet) {
	o.connection.declare(s)
	s.StringVar(&o.eventType, "event-type", "", "`type` of event, or a pattern such as object.*")
	s.Var(&o.since, "since", "`time` from which on to read, such as 1h (default now)")
	s.StringVar(&o.after, "after", "", "`position` after which to begin")
}

// tailClient is a client, and one whose requests have no timeout, because a tail has no end. dates
// knows the server's clock after the first answer.
type tailClient struct {
	*client.Client
	streams *client.Client
	dates   *dateRecorder
}

// tailClient returns the clients. It checks all flags.
func (o *tailOptions) tailClient(a *app) (*tailClient, error) {
	if _, err := o.query(&dateRecorder{}); err != nil {
		return nil, err
	}
	transport, err := o.transport(a)
	if err != nil {
		return nil, err
	}
	c := &tailClient{dates: &dateRecorder{next: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: o.timeout}).DialContext,
		TLSHandshakeTimeout:   o.timeout,
		ResponseHeaderTimeout: o.timeout,
	}}}
	transport.Transport = c.dates
	key, err := o.key(a)
	if err != nil {
		return nil, err
	}
	if c.Client, err = o.clientOn(transport, key); err != nil {
		return nil, err
	}
	c.streams, err = o.clientOn(&http.Client{Transport: c.dates}, key)
	return c, err
}

// query returns where the tail begins and what it selects.
func (o *tailOptions) query(dates *dateRecorder) (q client.TailQuery, err error) {
	q.Since, q.EventType = o.since.Time, event.Pattern(o.eventType)
	if o.eventType != "" {
		if err := q.EventType.Validate(); err != nil {
			return q, usagef("--event-type %v", err)
		}
	}
	if o.after != "" {
		if q.After, err = webhook.ParsePosition(o.after); err != nil {
			return q, usagef("--after must be a position that \"webhooks listen\" has printed")
		}
	}
	if q.Since.IsZero() && o.after == "" {
		q.Since = dates.now()
	}
	return q, nil
}

// now returns the time of the server, as that of an event is, or up to a second before: its Date
// header has whole seconds.
func (r *dateRecorder) now() time.Time {
	ahead, _ := r.off()
	return time.Now().Add(ahead - time.Second)
}
