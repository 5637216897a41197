// Package sms sends events as text messages, through Twilio or any other
// [Provider].
//
// # What is where
//
// [Config] is what a subscription says, [NewTwilio] makes the provider, [NewDriver]
// makes the driver, and [Name] is what subscriptions call it. [CountSegments]
// says what a text costs.
//
// # What an answer means
//
// Twilio's codes come before the status:
//
//	201 without an error code, whatever became of its body         success
//	20429, 14107, 21611, 30001, 30022, with Retry-After            Wait
//	21211, 21408, 21610, 21612, 21614, 21635 and others            Permanent: this number
//	21602, 21617; longer than Options.MaxSegments               Permanent: this text
//	20003, 21212, 21606, 21703 and others                          Retry: the account, which its owner corrects
//	any other code                                                 as the status says
//
// A message may have several recipients. Those that were reached, and
// those that were refused for good, go into Result.Progress and from there into
// the next Message, so that no recipient is written to twice. While some are left the
// error has ClassPartial, and is worth a retry if one of them is. When none is,
// the refusals are forgotten: a replay of the dead delivery asks again.
package sms
