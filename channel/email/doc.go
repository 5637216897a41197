// Package email sends events as mail, over SMTP.
//
// # What is where
//
// [Config] is what a subscription says, [NewSMTP] makes the connections to a mail
// server, [NewDriver] makes the driver, and [Name] is what subscriptions call it.
//
// # What an answer means
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
// have been taken nevertheless. It is sent again, with the same Message-ID.
//
// A mail has several recipients. Those that were reached, and
// those that were refused for good, go into Result.Progress and from there into
// the next Message, so that no recipient is written to twice. While some are left the
// error has ClassPartial, and is worth a retry if one of them is. When none is,
// the refusals are forgotten: a replay of the dead delivery asks again.
package email
