// Package slack posts events to Slack, through an incoming webhook or as a bot. It is the channel
// "slack" of subscriptions:
//
//	webhook.Via(slack.Config{WebhookURL: "https://hooks.slack.com/services/…"})
//	webhook.Via(slack.Config{BotToken: "xoxb-…", ChannelID: "C0123456789"})
//
// # What is where
//
// [Config] is the configuration in a subscription, [NewDriver] makes the driver, and [Name] is the
// name of the channel.
//
// # Rate
//
// Slack takes one message a second for a channel of a workspace, and short bursts. So the channel
// asks its caller to begin one attempt a second, three at once. A Dispatcher keeps to that for each
// endpoint, over all processes. Several subscriptions that post to the same channel of Slack may
// exceed it together: then Slack answers with Retry-After, and the Dispatcher slows down.
//
// # What an answer means
//
// The error code in Slack's answer takes precedence over the status, even with a 200. Only a code
// that means Retry leaves the action to a status other than 2xx, so that a 410 still disables the
// endpoint:
//
//	"ok", or ok:true to a bot                                        success
//	ratelimited, with Retry-After                                    Wait
//	rollup_error, internal_error, fatal_error, service_unavailable   Retry
//	invalid_auth, token_expired, token_revoked, account_inactive,
//	missing_scope, not_in_channel                                    Retry: the bot can be fixed
//	invalid_payload, invalid_blocks, no_text, msg_too_long           Permanent
//	channel_not_found, channel_is_archived, action_prohibited,
//	no_service, no_team, team_disabled                               Permanent
//	a 2xx with none of these codes                                   Retry
//	any other code                                                   as the status says
package slack
