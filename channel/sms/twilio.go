package sms

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/event"
)

// TwilioAPI is the default base URL of Twilio's API.
const TwilioAPI = "https://api.twilio.com"

// TwilioConfig configures a Twilio. Set either AuthToken, or APIKey and APISecret.
type TwilioConfig struct {
	// AccountSID is the account that is charged, "AC…". Required.
	AccountSID string

	// AuthToken is the account's token. Required unless APIKey and APISecret are set.
	AuthToken channel.Secret

	// APIKey ("SK…") and APISecret are an API key, which can be revoked by itself. Default to none.
	APIKey    string
	APISecret channel.Secret

	// From is the sender: a number in E.164, a short code, or an alphanumeric sender id. Required
	// unless MessagingService is set.
	From string

	// MessagingService ("MG…") lets Twilio choose the sender. Defaults to none.
	MessagingService string

	// Client makes the requests. Defaults to a client with the zero HTTPConfig.
	Client *channelkit.HTTPClient

	// API is the base URL of the API, for another region of Twilio, or for tests. Defaults to
	// TwilioAPI.
	API string
}

// A Twilio is a Provider that sends texts through Twilio's REST API
// (Messages, 2010-04-01).
type Twilio struct {
	target *channelkit.Target
	form   url.Values
}

// NewTwilio returns a Twilio. It does not connect. If the configuration is invalid, the error wraps
// an *event.ValidationError that lists every problem.
func NewTwilio(config TwilioConfig) (*Twilio, error) {
	var problems event.Problems
	if !isTwilioID(config.AccountSID, "AC") {
		problems.Add("AccountSID", "must be AC and 32 hexadecimal digits")
	}
	user, password := config.AccountSID, string(config.AuthToken)
	switch {
	case config.APIKey != "" || config.APISecret != "":
		user, password = config.APIKey, string(config.APISecret)
		if !isTwilioID(config.APIKey, "SK") || config.APISecret == "" {
			problems.Add("APIKey", "must be SK and 32 hexadecimal digits, with an APISecret")
		}
		if config.AuthToken != "" {
			problems.Add("AuthToken", "must not be set together with APIKey")
		}
	case config.AuthToken == "":
		problems.Add("AuthToken", "is required, or APIKey and APISecret")
	}
	form := url.Values{}
	switch {
	case config.From != "" && config.MessagingService != "":
		problems.Add("From", "must not be set together with MessagingService")
	case config.MessagingService != "":
		form.Set("MessagingServiceSid", config.MessagingService)
		if !isTwilioID(config.MessagingService, "MG") {
			problems.Add("MessagingService", "must be MG and 32 hexadecimal digits")
		}
	case config.From == "":
		problems.Add("From", "is required, or MessagingService")
	default:
		form.Set("From", config.From)
	}
	client := config.Client
	if client == nil {
		var err error
		if client, err = channelkit.NewHTTPClient(channelkit.HTTPConfig{}); err != nil {
			return nil, err
		}
	}
	if config.API == "" {
		config.API = TwilioAPI
	}
	target, err := client.CheckBase(config.API,
		"/2010-04-01/Accounts/"+url.PathEscape(config.AccountSID)+"/Messages.json")
	problems.AddError("API", err)
	for _, secret := range [][2]string{{"AuthToken", string(config.AuthToken)},
		{"APISecret", string(config.APISecret)}} {
		if rule := channelkit.Invisible(secret[1], ""); rule != "" {
			problems.Add(secret[0], "%s", rule)
		}
	}
	if rule := channelkit.Invisible(config.From, " "); rule != "" {
		problems.Add("From", "%s", rule)
	} else if strings.Trim(config.From, " ") != config.From {
		problems.Add("From", "must neither begin nor end with a blank")
	}
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("sms: NewTwilio: %w", err)
	}
	header := http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"},
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))},
	}
	// The sms channel bounds an attempt at all of its numbers.
	return &Twilio{form: form, target: client.NewTarget(channelkit.TargetConfig{
		URL: target, Header: header, Timeout: channelkit.NoTimeout, MaxAnswer: maxTwilioReply,
	})}, nil
}

// isTwilioID reports whether s is one of Twilio's ids, of the kind that the two
// letters say.
func isTwilioID(s, kind string) bool {
	if len(s) != 34 || s[:2] != kind {
		return false
	}
	for i := 2; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// SendSMS sends one text. The id is empty if Twilio accepted the text but its answer broke off.
func (t *Twilio) SendSMS(ctx context.Context, to, text string) (string, error) {
	form := url.Values{"To": {to}, "Body": {text}}
	for k, v := range t.form {
		form[k] = v
	}
	reply, err := t.target.Do(ctx, []byte(form.Encode()))
	if err != nil && reply.StatusCode != http.StatusCreated {
		return "", err
	}
	return classifyTwilio(reply, time.Now())
}

// maxTwilioReply is as much of an answer as is looked at.
const maxTwilioReply = 16 << 10

// twilioActions says what Twilio's error codes mean for one number. Codes that
// are not here are classified by the status, because Twilio keeps adding some.
var twilioActions = map[int]channel.Action{
	// This number cannot be reached, or must not be.
	21211: channel.Permanent, // not a valid number
	21217: channel.Permanent, // does not look like a number
	21408: channel.Permanent, // no permission for the region
	21421: channel.Permanent, // not a valid number
	21601: channel.Permanent, // not capable of SMS
	21604: channel.Permanent, // no number
	21608: channel.Permanent, // a trial account, and the number is not verified
	21610: channel.Permanent, // the recipient has opted out
	21612: channel.Permanent, // this sender cannot reach that number
	21614: channel.Permanent, // not a mobile number
	21635: channel.Permanent, // a landline
	63003: channel.Permanent, // the channel does not find the number
	30006: channel.Permanent, // a landline, or a carrier that cannot be reached

	// This text cannot be sent.
	21602: channel.Permanent, // empty
	21605: channel.Permanent, // too long
	21617: channel.Permanent, // too long
	21619: channel.Permanent, // empty

	// The account is not set up right; its operator has to look at it.
	20003: channel.Retry, // the login is refused
	20005: channel.Retry, // the account is not active
	20404: channel.Retry, // no such account
	21212: channel.Retry, // the sender is not valid
	21603: channel.Retry, // no sender
	21606: channel.Retry, // the sender does not belong to the account, or cannot text
	21659: channel.Retry, // the sender does not belong to the account
	21701: channel.Retry, // no such messaging service
	21703: channel.Retry, // the messaging service has no sender

	// Later.
	20429: channel.Wait, // too many requests
	14107: channel.Wait, // too many messages
	21611: channel.Wait, // the sender's queue is full
	30001: channel.Wait, // the queue is full
	30022: channel.Wait, // the carrier's limit
}

// classifyTwilio says what an answer of Twilio's means, and returns the
// message's id when it was accepted, as far as it is known.
func classifyTwilio(reply channelkit.HTTPResponse, now time.Time) (string, error) {
	var answer struct {
		SID    string `json:"sid"`
		Status any    `json:"status"` // a word in a message, a number in an error
		Code   int    `json:"code"`
		Error  *int   `json:"error_code"`
	}
	decoded := json.Unmarshal(reply.Body, &answer) == nil
	byStatus := channel.Classify(reply.StatusCode, reply.Header, now)
	code := answer.Code
	if answer.Error != nil {
		code = *answer.Error
	}
	switch {
	case byStatus == nil && code == 0 && decoded && answer.SID != "":
		return answer.SID, nil
	case code == 0 && reply.StatusCode == http.StatusCreated:
		// The message exists, though its id did not arrive: another attempt
		// would be a second text, and a second bill.
		return "", nil
	case code == 0 && byStatus == nil:
		return "", &channel.Error{Class: channel.ClassProtocol, StatusCode: reply.StatusCode,
			Err: errors.New("the answer is not one of Twilio's")}
	case code == 0:
		return "", byStatus
	}
	e := &channel.Error{Class: channel.ClassRejected, StatusCode: reply.StatusCode,
		Err: fmt.Errorf("twilio says %d", code)}
	action, known := twilioActions[code]
	switch {
	case known && action == channel.Wait:
		if e.RetryAfter = channel.RetryAfter(reply.Header, now); e.RetryAfter > 0 {
			e.Action = channel.Wait
		}
	case known:
		e.Action = action
	case byStatus != nil:
		e.Action, e.RetryAfter = channel.AsError(byStatus).Action, channel.AsError(byStatus).RetryAfter
	}
	if code == 20003 || code == 20005 {
		e.Class = channel.ClassAuth
	}
	return "", e
}

// Host returns the host of the API.
func (t *Twilio) Host() string { return t.target.Capabilities().Host }

// MarshalText returns the configuration without its secrets, for people to read.
func (c TwilioConfig) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%+v", c), nil }
