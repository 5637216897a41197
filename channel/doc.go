// Package channel delivers events to the outside world: one attempt at a time, to one configured
// target.
//
// A [Driver] turns the configuration of a subscription into a [Channel]. It checks the
// configuration once, and its error names every problem. The Channel's Send makes one attempt to
// deliver one [Message]. It never retries: its error says what the attempt means, and the
// Dispatcher of package webhook/dispatch decides what happens next. A [Registry] holds drivers by
// the names that subscriptions use.
//
// Most programs need only package standard, whose New makes a Registry of the channels that come with
// this library: webhook and slack, and email and sms if its Config says by whom these are sent:
//
//	channels, err := standard.New(standard.Config{})
//	d, err := dispatch.New(store, dispatch.Config{Channels: channels})
//
// For a channel of your own, implement Driver and Channel (a [Func] is both), register it, and let
// package channeltest check that it keeps the contract. Package channelkit does most of the work;
// examples/custom-channel shows how. The [Schema] of a Driver tells a management API what to mask,
// and a [Middleware] wraps all channels of a Registry.
//
// # What is where
//
//	channel                the contract: Channel, Driver, Message, Result, Error, Classify, Registry
//	channel/standard       a Registry with the four channels below, from one Config
//	channel/httpendpoint   "webhook": POST to an HTTP endpoint, with headers, a template, a signature
//	channel/slack          "slack": an incoming webhook, or a bot
//	channel/email          "email": mail over SMTP
//	channel/sms            "sms": text messages, through Twilio or a provider of your own
//	channel/channelkit     what a driver needs: configurations, templates, HTTP, redaction
//	channel/channeltest    the contract as a suite of tests
//
// # What an answer means
//
// Every failed attempt is an [*Error] with an [Action]: Retry (try again after the backoff), Wait
// (try again after RetryAfter; until then the endpoint gets no other delivery either), Permanent
// (the delivery is dead) or Disable (the delivery is dead, and its endpoint is disabled).
//
// [Classify] is the table for all channels that speak HTTP. With the failures around it:
//
//	2xx, with a complete body or one cut at the limit           success
//	3xx                                                         Retry; redirects are never followed
//	410                                                         Disable
//	429 and 503 with Retry-After                                Wait, at most MaxRetryAfter
//	any other status                                            Retry; a 4xx other than 408, 425 and 429
//	                                                            does not count against the endpoint's
//	                                                            health
//	no connection: dns, connect, tls, refused_address           Retry
//	the proxy cannot be used, or refuses: proxy                 Retry; does not count against the
//	                                                            endpoint's health
//	no answer, or a 2xx whose body breaks off or never ends:
//	timeout, closed, protocol, too_large                        Retry
//	the template fails, or the event cannot be decoded          Permanent
//
// Slack, mail servers and Twilio say more than a status does: the documentation of their packages
// has the tables.
//
// # Values in templates
//
// A template is written by the subscriber, but the values of an event may come from anyone. Where a
// channel interprets text, values are escaped for it:
//
//	payload_template      JSON: a value stays one value, of its own type
//	blocks_template       JSON and mrkdwn: & < > are escaped as well, so that no value makes a
//	                      mention, a link or a block
//	blocks                mrkdwn: the same, as JSON whose strings are templates
//	body_template         HTML, Markdown or JSON, as content_type says; plain text is not escaped
//	subject_template      plain text, on one line
//	message_template      plain text
//
// standard.Config.Library gives all these templates the filters and functions of the service, and
// ready-made ones for dates, regular expressions and more.
//
// In a template, |safe prints one value unescaped, and {% autoescape false %} several. See
// template/SYNTAX.md, "Values in a format".
//
// # Safety
//
// The URLs of subscriptions come from subscribers and cannot be trusted: package channelkit says
// how requests to them are made. An attempt's error and Result never contain a secret of the
// configuration, because they are stored and shown.
package channel
