package slack

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/event/jsontext"
)

// maxSlackReply is as much of an answer as is looked at: to a bot, Slack says first how it went, and
// then repeats the whole message.
const maxSlackReply = 64 << 10

// slackActions says what Slack's own error codes mean: those of incoming
// webhooks, which stand in the body as plain text, and those of chat.postMessage.
// A code that is not here is classified by the status.
var slackActions = map[string]channel.Action{
	// This message is wrong, and stays so.
	"invalid_payload": channel.Permanent, "invalid_blocks": channel.Permanent,
	"invalid_blocks_format": channel.Permanent, "invalid_attachments": channel.Permanent,
	"invalid_arguments": channel.Permanent, "invalid_json": channel.Permanent,
	"json_not_object": channel.Permanent, "no_text": channel.Permanent,
	"missing_text_or_fallback_or_attachments": channel.Permanent,
	"missing_post_type":                       channel.Permanent,
	"msg_too_long":                            channel.Permanent,
	"msg_blocks_too_long":                     channel.Permanent,
	"too_many_attachments":                    channel.Permanent,
	"markdown_text_conflict":                  channel.Permanent,
	"metadata_too_large":                      channel.Permanent,
	"duplicate_channel_not_found":             channel.Permanent,

	// The target is gone or closed to us. That is one channel's trouble: what
	// else the webhook delivers to goes on, so nothing here disables it.
	"channel_not_found": channel.Permanent, "user_not_found": channel.Permanent,
	"team_not_found":      channel.Permanent,
	"channel_is_archived": channel.Permanent, "is_archived": channel.Permanent,
	"no_service": channel.Permanent, "no_service_id": channel.Permanent,
	"no_active_hooks": channel.Permanent, "no_team": channel.Permanent,
	"team_disabled": channel.Permanent, "team_access_not_granted": channel.Permanent,
	"action_prohibited": channel.Permanent, "posting_to_general_channel_denied": channel.Permanent,
	"restricted_action": channel.Permanent, "restricted_action_read_only_channel": channel.Permanent,
	"restricted_action_thread_locked":          channel.Permanent,
	"restricted_action_non_threadable_channel": channel.Permanent,
	"restricted_action_thread_only_channel":    channel.Permanent,
	"cannot_reply_to_message":                  channel.Permanent,
	"messages_tab_disabled":                    channel.Permanent,
	"as_user_not_supported":                    channel.Permanent,
	"enterprise_is_restricted":                 channel.Permanent,
	"deprecated_endpoint":                      channel.Permanent,
	"method_deprecated":                        channel.Permanent,

	// The bot is not set up right; its operator has to look at it.
	"invalid_auth": channel.Retry, "not_authed": channel.Retry, "invalid_token": channel.Retry,
	"token_expired": channel.Retry, "token_revoked": channel.Retry,
	"account_inactive": channel.Retry, "access_denied": channel.Retry, "no_permission": channel.Retry,
	"missing_scope":          channel.Retry,
	"not_allowed_token_type": channel.Retry, "ekm_access_denied": channel.Retry,
	"org_login_required":        channel.Retry,
	"two_factor_setup_required": channel.Retry, "not_in_channel": channel.Retry,

	// Later.
	"ratelimited": channel.Wait, "rate_limited": channel.Wait, "accesslimited": channel.Wait,
	"message_limit_exceeded": channel.Retry,
	"rollup_error":           channel.Retry, "internal_error": channel.Retry,
	"fatal_error":         channel.Retry,
	"service_unavailable": channel.Retry,
	"request_timeout":     channel.Retry, "team_added_to_org": channel.Retry,
}

// slackAuth are the codes that say that the credentials are at fault.
var slackAuth = map[string]bool{
	"invalid_auth": true, "not_authed": true, "token_expired": true, "invalid_token": true,
	"token_revoked":    true,
	"account_inactive": true, "missing_scope": true, "no_permission": true,
	"not_allowed_token_type": true, "access_denied": true,
}

// classifySlack says what an answer of Slack's means. A 2xx is a success only
// if the body says so: "ok" from an incoming webhook, "ok":true from the Web
// API.
func classifySlack(reply channelkit.HTTPResponse, bot bool, now time.Time) error {
	byStatus := channel.Classify(reply.StatusCode, reply.Header, now)
	code, ok := slackCode(reply.Body, bot)
	if byStatus == nil && ok {
		return nil
	}
	action, known := slackActions[code]
	if !known {
		if byStatus != nil {
			return byStatus
		}
		if code == "" {
			return &channel.Error{Class: channel.ClassProtocol, StatusCode: reply.StatusCode,
				Err: errors.New("the answer is not one of Slack's")}
		}
		return &channel.Error{Class: channel.ClassRejected, StatusCode: reply.StatusCode,
			Err: errors.New("slack says " + code)}
	}
	e := &channel.Error{Action: action, Class: channel.ClassRejected, StatusCode: reply.StatusCode,
		Err: errors.New("slack says " + code)}
	if slackAuth[code] {
		e.Class = channel.ClassAuth
	}
	if action == channel.Wait {
		if e.RetryAfter = channel.RetryAfter(reply.Header, now); e.RetryAfter == 0 {
			e.Action = channel.Retry
		}
	}
	if action == channel.Retry && byStatus != nil {
		e.Action, e.RetryAfter = channel.AsError(byStatus).Action, channel.AsError(byStatus).RetryAfter
	}
	return e
}

// hasSaid reports whether an answer that ended before its time has said already what it means.
func hasSaid(reply channelkit.HTTPResponse, bot bool, now time.Time) bool {
	code, ok := slackCode(reply.Body, bot)
	_, known := slackActions[code] // for what breaks off may be a part of a code
	return channel.Classify(reply.StatusCode, reply.Header, now) == nil && (ok || known)
}

// slackCode reads the error code of an answer, empty if there is none, and
// whether the answer says that all is well. It reads from the beginning, as far as that goes: to a
// bot, Slack repeats the message behind what counts.
func slackCode(body []byte, bot bool) (code string, ok bool) {
	text := bytes.TrimSpace(body)
	if len(text) > 0 && text[0] == '{' {
		answer := jsontext.NewReader(text, jsontext.MaxDepth)
		_ = answer.Object(func(name []byte) error {
			value, err := answer.Raw()
			switch string(name) {
			case "ok":
				ok = string(value) == "true"
			case "error":
				var s string
				if json.Unmarshal(value, &s) == nil && isSlackCode(s) {
					code = s
				}
			}
			return err
		})
		return code, ok
	}
	if !bot && string(text) == "ok" {
		return "", true
	}
	if !bot && isSlackCode(string(text)) {
		return string(text), false
	}
	return "", false
}

// isSlackCode reports whether s looks like one of Slack's codes, so that it can
// be shown.
func isSlackCode(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
