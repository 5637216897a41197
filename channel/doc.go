// Package channel hands events to the outside world: one attempt at a time, to
// one configured target.
//
// A [Driver] turns the configuration of a subscription into a [Channel], once,
// and refuses it with every reason if it is wrong. The Channel's Send makes one
// attempt to deliver one [Message]. It never retries: the error says what the
// attempt means, and the Dispatcher of package webhook does the rest. A
// [Registry] holds drivers by the names that subscriptions use.
//
// # What is where
//
//	channel                the contract: Channel, Driver, Message, Result, Error, Classify, Registry, Middleware
//	channel/standard       a Registry with the four channels below, from one Config
//	channel/httpendpoint   "webhook": POST to an HTTP endpoint, with custom headers, a template and a signature
//	channel/slack          "slack": an incoming webhook, or a bot
//	channel/email          "email": mail over SMTP
//	channel/sms            "sms": text messages, through Twilio or a provider of your own
//	channel/channelkit     what a driver needs: reading a configuration, templates, HTTP, redaction
//	channel/channeltest    the contract as a suite of tests
//
// Everything else is yours: implement Driver and Channel (a [Func] will do),
// register it, and let package channeltest check that it keeps to the contract.
// Package channelkit does most of the work; examples/custom-channel shows how. The
// [Schema] of a Driver tells a management API what to mask, and a [Middleware] wraps
// all channels of a Registry.
//
// # What an answer means
//
// Every failed attempt is an [*Error] with an [Action]. The actions are Retry
// (again, by the backoff), Wait (again, not before RetryAfter, and the whole
// endpoint rests until then), Permanent (the delivery is given up) and
// Deactivate (it is given up, and the webhook is switched off).
//
// For all that speaks HTTP one table holds, [Classify]:
//
//	2xx, answer complete, or cut at the limit of its body      success
//	3xx                                                         Retry, never followed
//	410                                                         Deactivate
//	429 and 503 with Retry-After                                Wait, at most MaxRetryAfter
//	any other status                                            Retry
//	no connection: dns, connect, tls, refused_address           Retry
//	a proxy that cannot be used, or refuses: proxy              Retry, and no failure of the endpoint
//	no answer, or a 2xx whose body breaks off or never ends:
//	timeout, closed, protocol, too_large                        Retry
//	the template fails, the event does not decode               Permanent
//
// Slack, mail servers and Twilio say more than a status does: the tables are in the
// documentation of their packages.
//
// # Values in templates
//
// A template is its subscriber's, but the values of an event may come from
// anyone. Where a channel interprets text, values are escaped for it:
//
//	payload_template      JSON            a value stays one value, of its own type
//	blocks_template       JSON, mrkdwn    and in its text & < > are escaped: no mention, link or block comes from a value
//	blocks                mrkdwn          the same, as JSON whose strings are templates
//	body_template         HTML, Markdown or JSON, as content_type says; plain text stays as it is
//	subject_template      plain text, on one line
//	message_template      plain text
//
// standard.Config.Library gives all of these templates filters and functions of
// the service, and ready ones for dates, regular expressions and more.
//
// In a template |safe prints a value that is to be interpreted, and
// {% autoescape false %} several. See template/SYNTAX.md, "Values in a format".
//
// # Safety
//
// The URLs of subscriptions come from strangers: see package channelkit for how
// requests are made. An attempt's error and Result never hold a secret of the
// configuration, because they are stored and shown.
package channel
