// Package sms sends events as text messages, through Twilio or another [Provider]. It is the
// channel "sms" of subscriptions:
//
//	twilio, err := sms.NewTwilio(sms.TwilioConfig{
//		AccountSID: "AC…", AuthToken: "…", From: "+14155550100",
//	})
//	channels, err := standard.New(standard.Config{SMS: twilio})
//	…
//	webhook.Via(sms.Config{PhoneNumbers: []string{"+14155550123"}})
//
// # What is where
//
// [Config] is the configuration in a subscription, [NewTwilio] makes the provider, [NewDriver]
// makes the driver, and [Name] is the name of the channel. [CountSegments] says how many messages a
// text takes, each of which is charged for.
//
// # Rate
//
// Providers send a few texts a second from one number, and queue what is more. The channel asks its
// caller to keep to Options.MessagesPerSecond for each endpoint. Subscriptions that share a number
// may exceed its rate together.
//
// # What an answer means
//
// Twilio's error code takes precedence over the status:
//
//	201 without an error code, even if its body breaks off         success
//	20429, 14107, 21611, 30001, 30022, with Retry-After            Wait
//	21211, 21408, 21610, 21612, 21614, 21635 and others            Permanent, for this number
//	21602, 21617; a text longer than Options.MaxSegments           Permanent, for this text
//	20003, 21212, 21606, 21703 and others                          Retry: the account can be fixed
//	any other code                                                 as the status says
//
// A message may have several recipients. Result.Progress records those that were reached and those
// that were refused for good, and the next attempt sends to neither. While some recipients are
// left, the error has ClassPartial, and is retryable if one of the failures is. When none are left,
// the refused ones are forgotten, so that a replay of the dead delivery tries them again.
package sms
