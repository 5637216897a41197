// Package channel hands events to the outside world: one attempt at a time, to
// one configured target.
//
// # The parts
//
// A [Driver] turns the configuration of a subscription into a [Channel], once,
// and refuses it with every reason if it is wrong. The Channel's Send makes one
// attempt to deliver one [Message]. It never retries: the error says what the
// attempt means, and the Dispatcher of package webhook does the rest. A
// [Registry] holds drivers by the names that subscriptions use; [Standard]
// returns one with the channels of this package:
//
//	webhook   POST to an HTTP endpoint, with custom headers, a template and a signature   [WebhookConfig]
//	slack     an incoming webhook, or a bot                                              [SlackConfig]
//	email     mail over SMTP, once StandardConfig.SMTP is set                            [EmailConfig]
//	sms       text messages, once StandardConfig.SMS is set                              [SMSConfig]
//
// Everything else is yours: implement Driver and Channel (a [Func] will do),
// register it, and let package channeltest check that it keeps to the contract.
// A Driver that is a [FieldLister] as well tells a management API what to mask.
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
//	2xx, answer complete, or cut at HTTPConfig.MaxResponse      success
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
// Slack's own words come before the status, in a 200 too:
//
//	"ok", or ok:true to a bot                                        success
//	ratelimited, with Retry-After                                    Wait
//	rollup_error, internal_error, fatal_error, service_unavailable   Retry
//	invalid_auth, token_expired, token_revoked, account_inactive,
//	missing_scope, not_in_channel                                    Retry, because its owner sets the bot right
//	invalid_payload, invalid_blocks, no_text, msg_too_long           Permanent
//	channel_not_found, channel_is_archived, action_prohibited,
//	no_service, no_team, team_disabled                               Permanent
//	a 2xx that holds none of them                                    Retry
//	any other word                                                   as the status says
//
// A mail server's replies:
//
//	250 to the mail                                       success
//	4xx to sender, recipient or mail, 421 at any time     Retry
//	any refusal before that: greeting, STARTTLS, login    Retry, because the operator corrects the password
//	530, 534, 535, 538 at any time: the login             Retry, for the same reason
//	500, 502, 503, 504 at any time: the conversation      Retry, because the operator corrects the name after EHLO
//	552 to a recipient: too many for one mail             Retry (RFC 5321, section 4.5.3.1.10)
//	any other 5xx to sender, recipient or mail            Permanent
//	no connection, no complete answer                     Retry, as for HTTP
//
// A mail whose end was sent and not answered, because the connection broke, the
// server took longer than SMTPConfig.FinalTimeout, or the process stopped, may
// have been taken all the same. It is sent again, with the same Message-ID.
//
// Twilio's codes come before the status:
//
//	201 without an error code, whatever became of its body         success
//	20429, 14107, 21611, 30001, 30022, with Retry-After            Wait
//	21211, 21408, 21610, 21612, 21614, 21635 and others            Permanent: this number
//	21602, 21617; longer than SMSOptions.MaxSegments               Permanent: this text
//	20003, 21212, 21606, 21703 and others                          Retry: the account, which its owner corrects
//	any other code                                                 as the status says
//
// Mail and text messages have several recipients. Those that were reached, and
// those that were refused for good, go into Result.Progress and from there into
// the next Message, so that no recipient is written to twice. While some are left the
// error has ClassPartial, and is worth a retry if one of them is. When none is,
// the refusals are forgotten: a replay of the dead delivery asks again.
//
// # Connections
//
// A kept connection may end while a request is on its way: endpoints that
// restart close theirs. A webhook is then sent again at once, within the same
// attempt, if no byte of an answer has come: the receiver may see it twice, as
// it may see any event, and knows it by its id. Messages to people are not
// repeated. A new connection that ends so is a failed attempt.
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
// StandardConfig.Library gives all of these templates filters and functions of
// the service, and ready ones for dates, regular expressions and more.
//
// In a template |safe prints a value that is to be interpreted, and
// {% autoescape false %} several. See template/SYNTAX.md, "Values in a format".
//
// # Safety
//
// The URLs of subscriptions come from strangers. [HTTPClient] therefore takes
// HTTPS only, connects to public addresses only, which it checks after the name
// was resolved, follows no redirect, and bounds what it reads. HTTPConfig opens
// each of these for development. What an endpoint writes beyond its answer ends
// the connection, and is not logged. An attempt's error and Result never hold a
// secret of the configuration: they are stored and shown.
package channel
