// Package slack posts events to Slack, through an incoming webhook or as a bot.
//
// # What is where
//
// [Config] is what a subscription says, [NewDriver] makes the driver, and [Name] is
// what subscriptions call it.
//
// # What an answer means
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
package slack
