// Package email sends events as mail, over SMTP. It is the channel "email" of subscriptions:
//
//	server, err := email.NewSMTP(email.SMTPConfig{
//		Host: "smtp.example.com", From: "Shop <shop@example.com>", Username: "shop", Password: "…",
//	})
//	channels, err := standard.New(standard.Config{SMTP: server})
//	…
//	webhook.Via(email.Config{ToAddresses: []string{"ops@example.com"}})
//
// # What is where
//
// [Config] is the configuration in a subscription, [NewSMTP] prepares the connections to a mail
// server, [NewDriver] makes the driver, and [Name] is the name of the channel.
//
// # What an answer means
//
// The replies of a mail server:
//
//	250 to the mail                                       success
//	4xx to sender, recipient or mail; 421 at any time     Retry
//	any refusal before that: greeting, STARTTLS, login    Retry: the password can be fixed
//	530, 534, 535, 538 at any time: the login             Retry, for the same reason
//	500, 502, 503, 504 at any time: the conversation      Retry: SMTPConfig.Hello can be fixed
//	any 5xx to the sender but 552: mail is too large      Retry: SMTPConfig.From can be fixed
//	5.1.7, 5.1.8 at any time: the sender's address        Retry, for the same reason
//	552 to a recipient: too many for one mail             Retry (RFC 5321, section 4.5.3.1.10)
//	any other 5xx to recipient or mail, 552 to sender     Permanent
//	no connection, no complete answer                     Retry, as for HTTP
//
// The server may have accepted a mail although its answer never came: the connection broke, the
// server took longer than SMTPConfig.FinalTimeout, or the process stopped. The channel then sends
// the mail again, with the same Message-ID.
//
// A mail may have several recipients. Result.Progress records those that were reached and those
// that were refused for good, and the next attempt sends to neither. While some recipients are
// left, the error has ClassPartial, and is retryable if one of the failures is. When none are left,
// the refused ones are forgotten, so that a replay of the dead delivery tries them again.
package email
