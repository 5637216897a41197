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

// tailClient returns a client without a timeout, because a tail has no end, and what knows the
// server's clock after the first answer. It checks all flags.
func (o *tailOptions) tailClient(a *app) (*client.Client, *dateRecorder, error) {
	if _, err := o.query(&dateRecorder{}); err != nil {
		return nil, nil, err
	}
	transport, err := o.transport(a)
	if err != nil {
		return nil, nil, err
	}
	dates := &dateRecorder{next: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: o.timeout}).DialContext,
		TLSHandshakeTimeout:   o.timeout,
		ResponseHeaderTimeout: o.timeout,
	}}
	transport.Transport, transport.Timeout = dates, 0
	key, err := o.key(a)
	if err != nil {
		return nil, nil, err
	}
	c, err := o.clientOn(transport, key)
	return c, dates, err
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
		// The time of an event is the server's. Its Date header has whole seconds.
		ahead, _ := dates.off()
		q.Since = time.Now().Add(ahead - time.Second)
	}
	return q, nil
}
