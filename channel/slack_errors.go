package channel

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// maxSlackReply is as much of an answer as is looked at: to a bot, Slack repeats
// the whole message before it is done.
const maxSlackReply = 1 << 20

// slackActions says what Slack's own error codes mean: those of incoming
// webhooks, which stand in the body as plain text, and those of chat.postMessage.
// A code that is not here is judged by the status.
var slackActions = map[string]Action{
	// This message is wrong, and stays so.
	"invalid_payload": Permanent, "invalid_blocks": Permanent, "invalid_blocks_format": Permanent, "invalid_attachments": Permanent,
	"invalid_arguments": Permanent, "invalid_json": Permanent, "json_not_object": Permanent, "no_text": Permanent,
	"missing_text_or_fallback_or_attachments": Permanent, "missing_post_type": Permanent,
	"msg_too_long": Permanent, "msg_blocks_too_long": Permanent, "too_many_attachments": Permanent,
	"markdown_text_conflict": Permanent, "metadata_too_large": Permanent, "duplicate_channel_not_found": Permanent,

	// The target is gone or closed to us. That is one channel's trouble: what
	// else the webhook delivers to goes on, so nothing here deactivates it.
	"channel_not_found": Permanent, "user_not_found": Permanent, "team_not_found": Permanent,
	"channel_is_archived": Permanent, "is_archived": Permanent, "no_service": Permanent, "no_service_id": Permanent,
	"no_active_hooks": Permanent, "no_team": Permanent, "team_disabled": Permanent, "team_access_not_granted": Permanent,
	"action_prohibited": Permanent, "posting_to_general_channel_denied": Permanent,
	"restricted_action": Permanent, "restricted_action_read_only_channel": Permanent, "restricted_action_thread_locked": Permanent,
	"restricted_action_non_threadable_channel": Permanent, "restricted_action_thread_only_channel": Permanent,
	"cannot_reply_to_message": Permanent, "messages_tab_disabled": Permanent, "as_user_not_supported": Permanent,
	"enterprise_is_restricted": Permanent, "deprecated_endpoint": Permanent, "method_deprecated": Permanent,

	// The bot is not set up right; its operator has to look at it.
	"invalid_auth": Retry, "not_authed": Retry, "invalid_token": Retry, "token_expired": Retry, "token_revoked": Retry,
	"account_inactive": Retry, "access_denied": Retry, "no_permission": Retry, "missing_scope": Retry,
	"not_allowed_token_type": Retry, "ekm_access_denied": Retry, "org_login_required": Retry,
	"two_factor_setup_required": Retry, "not_in_channel": Retry,

	// Later.
	"ratelimited": Wait, "rate_limited": Wait, "accesslimited": Wait, "message_limit_exceeded": Retry,
	"rollup_error": Retry, "internal_error": Retry, "fatal_error": Retry, "service_unavailable": Retry,
	"request_timeout": Retry, "team_added_to_org": Retry,
}

// slackAuth are the codes that say that the credentials are at fault.
var slackAuth = map[string]bool{
	"invalid_auth": true, "not_authed": true, "token_expired": true, "invalid_token": true, "token_revoked": true,
	"account_inactive": true, "missing_scope": true, "no_permission": true, "not_allowed_token_type": true, "access_denied": true,
}

// classifySlack says what an answer of Slack's means. A 2xx is a success only
// if the body says so: "ok" from an incoming webhook, "ok":true from the Web
// API.
func classifySlack(reply HTTPResponse, bot bool, now time.Time) error {
	byStatus := Classify(reply.StatusCode, reply.Header, now)
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
			return &Error{Class: ClassProtocol, StatusCode: reply.StatusCode, Err: errors.New("the answer is not one of Slack's")}
		}
		return &Error{Class: ClassRejected, StatusCode: reply.StatusCode, Err: errors.New("slack says " + code)}
	}
	e := &Error{Action: action, Class: ClassRejected, StatusCode: reply.StatusCode, Err: errors.New("slack says " + code)}
	if slackAuth[code] {
		e.Class = ClassAuth
	}
	if action == Wait {
		if e.RetryAfter = RetryAfter(reply.Header, now); e.RetryAfter == 0 {
			e.Action = Retry
		}
	}
	if action == Retry && byStatus != nil {
		e.Action, e.RetryAfter = AsError(byStatus).Action, AsError(byStatus).RetryAfter
	}
	return e
}

// slackCode reads the error code of an answer, empty if there is none, and
// whether the answer says that all is well.
func slackCode(body []byte, bot bool) (code string, ok bool) {
	text := bytes.TrimSpace(body)
	if len(text) > 0 && text[0] == '{' {
		var answer struct {
			OK    bool   `json:"ok"`
			Error string `json:"error"`
		}
		if json.Unmarshal(text, &answer) != nil {
			return "", false
		}
		if isSlackCode(answer.Error) {
			code = answer.Error
		}
		return code, answer.OK
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
