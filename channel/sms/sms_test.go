package sms_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/channeltest"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/event"
)

const (
	twilioAccount = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	twilioToken   = "sesame0123456789sesame0123456789"
)

// texts is a Provider that remembers, and fails where it is told to.
type texts struct {
	mu   sync.Mutex
	sent []string
	fail map[string]error
}

func (p *texts) Host() string { return "" }

func (p *texts) SendSMS(ctx context.Context, to, text string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := channel.ContextError(ctx); err != nil {
		return "", err
	}
	if err := p.fail[to]; err != nil {
		return "", err
	}
	p.sent = append(p.sent, to+" "+text)
	return "SM1", nil
}

// smsDriver returns the driver of the sms channel over a provider.
func smsDriver(t testing.TB, p sms.Provider, options sms.Options) channel.Driver {
	d, err := sms.NewDriver(p, options)
	require.NoError(t, err)
	return d
}

func TestSMSDefault(t *testing.T) {
	t.Parallel()
	p := &texts{}
	c := channelfixture.Open(t, smsDriver(t, p, sms.Options{}),
		sms.Config{PhoneNumbers: []string{"+14155550100", "+442071838750", "+14155550100"}})
	result, err := c.Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	const text = "object.created: object obj_abc123\n8 October 2025, 16:09:00 UTC"
	assert.Equal(t, []string{"+14155550100 " + text, "+442071838750 " + text}, p.sent,
		"each number once")
	assert.Equal(t, "reached 2 of 2", result.Response)
}

// A number that fails does not have those that were reached written to again.
func TestSMSPartial(t *testing.T) {
	t.Parallel()
	p := &texts{fail: map[string]error{
		"+14155550101": &channel.Error{Action: channel.Permanent, Class: channel.ClassRejected},
		"+14155550102": &channel.Error{Action: channel.Wait, Class: channel.ClassStatus, StatusCode: 429,
			RetryAfter: time.Minute},
		"+14155550103": errors.New("sesame"),
	}}
	c := channelfixture.Open(t, smsDriver(t, p, sms.Options{}), sms.Config{
		PhoneNumbers:    []string{"+14155550100", "+14155550101", "+14155550102", "+14155550103"},
		MessageTemplate: "{{ event_type }}\x07",
	})
	m := channelfixture.Message()
	result, err := c.Send(t.Context(), m)
	got := channel.AsError(err)
	require.NotNil(t, got)
	assert.Equal(t, channel.Error{Action: channel.Wait, Class: channel.ClassPartial, StatusCode: 429,
		RetryAfter: time.Minute, Err: got.Err}, *got)
	assert.EqualError(t, err, "channel: partial 429: 3 of 4 recipients not reached (retry after 1m0s)")
	assert.JSONEq(t, `{"reached":["+14155550100"],"refused":["+14155550101"]}`,
		string(result.Progress))

	p.fail = nil
	m = channelfixture.Message()
	m.Attempt, m.Progress = 2, result.Progress
	result, err = c.Send(t.Context(), m)
	require.NotNil(t, channel.AsError(err))
	assert.False(t, channel.AsError(err).Retryable(), "only the one that was refused is left")
	assert.Equal(t, []string{"+14155550100 object.created", "+14155550102 object.created",
		"+14155550103 object.created"}, p.sent)

	// Now the delivery is dead. Who replays it has mended something.
	m = channelfixture.Message()
	m.Attempt, m.Progress = 3, result.Progress
	_, err = c.Send(t.Context(), m)
	assert.NoError(t, err)
	assert.Equal(t, "+14155550101 object.created", p.sent[len(p.sent)-1])
	assert.Len(t, p.sent, 4, "only the one that was refused is asked again")

	m.Progress = json.RawMessage(`"what?"`)
	_, err = c.Send(t.Context(), m)
	assert.NoError(t, err, "progress that cannot be read counts as none")
	assert.Len(t, p.sent, 8)
}

// slowTexts is a Provider whose texts take long. They go out even if the context ends first.
type slowTexts struct {
	takes time.Duration
	sent  map[string]int
}

func (p *slowTexts) Host() string { return "" }

func (p *slowTexts) SendSMS(ctx context.Context, to, _ string) (string, error) {
	p.sent[to]++
	select {
	case <-time.After(p.takes):
		return "SM1", nil
	case <-ctx.Done():
		return "", channel.ContextError(ctx)
	}
}

// An attempt begins no text that its time would cut, so that no number gets two.
func TestSMSBeginsNoTextThatItsTimeWouldCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &slowTexts{700 * time.Millisecond, map[string]int{}}
		config := sms.Config{}
		for i := range 50 {
			config.PhoneNumbers = append(config.PhoneNumbers, fmt.Sprintf("+141555501%02d", i))
		}
		c := channelfixture.Open(t, smsDriver(t, p, sms.Options{}), config)
		m := channelfixture.Message()
		result, err := c.Send(t.Context(), m)
		got := channel.AsError(err)
		require.NotNil(t, got)
		assert.Equal(t, channel.Retry, got.Action)
		assert.Equal(t, channel.ClassPartial, got.Class)
		assert.Greater(t, len(p.sent), 40, "the time is used")
		assert.Contains(t, result.Response, "not tried")
		m.Attempt, m.Progress = 2, result.Progress
		_, err = c.Send(t.Context(), m)
		require.NoError(t, err)
		assert.Len(t, p.sent, 50)
		for number, n := range p.sent {
			assert.Equal(t, 1, n, number)
		}
	})
}

// A provider that asks to wait, or refuses the login, is not asked for the other numbers.
func TestSMSStopsWhenTheProviderRefusesAll(t *testing.T) {
	t.Parallel()
	const a, b, c = "+14155550100", "+14155550101", "+14155550102"
	for _, refusal := range []*channel.Error{
		{Action: channel.Wait, Class: channel.ClassRejected, StatusCode: 429, RetryAfter: time.Minute},
		{Action: channel.Retry, Class: channel.ClassAuth, StatusCode: 401},
	} {
		p := &texts{fail: map[string]error{b: refusal}}
		m := channelfixture.Message()
		to := channelfixture.Open(t, smsDriver(t, p, sms.Options{}),
			sms.Config{PhoneNumbers: []string{a, b, c}})
		result, err := to.Send(t.Context(), m)
		assert.Len(t, p.sent, 1, refusal.Class)
		got := channel.AsError(err)
		require.NotNil(t, got)
		assert.Equal(t, refusal.Action, got.Action)
		assert.Equal(t, refusal.RetryAfter, got.RetryAfter)

		p.fail = nil
		m.Attempt, m.Progress = 2, result.Progress
		_, err = to.Send(t.Context(), m)
		require.NoError(t, err)
		assert.Len(t, p.sent, 3)
	}
}

// A login that is refused for good ends the delivery, and not one number after the other. A replay
// tries them all.
func TestSMSLoginRefusedForGood(t *testing.T) {
	t.Parallel()
	const a, b, c = "+14155550100", "+14155550101", "+14155550102"
	for _, reached := range []int{0, 1} {
		refusal := &channel.Error{Action: channel.Permanent, Class: channel.ClassAuth, StatusCode: 401,
			Err: errors.New("wrong password")}
		numbers := []string{a, b, c}
		p := &texts{fail: map[string]error{numbers[reached]: refusal}}
		m := channelfixture.Message()
		to := channelfixture.Open(t, smsDriver(t, p, sms.Options{}), sms.Config{PhoneNumbers: numbers})
		result, err := to.Send(t.Context(), m)
		assert.Len(t, p.sent, reached)
		got := channel.AsError(err)
		require.NotNil(t, got)
		assert.Equal(t, channel.Permanent, got.Action)
		assert.Equal(t, 401, got.StatusCode)
		if reached == 0 {
			assert.Equal(t, channel.ClassAuth, got.Class, "all of them alike")
		}
		assert.Contains(t, result.Response, numbers[reached]+": wrong password")
		assert.Contains(t, result.Response, c+": not tried in this attempt")

		p.fail = nil
		m.Progress = result.Progress
		_, err = to.Send(t.Context(), m)
		require.NoError(t, err)
		assert.Len(t, p.sent, 3)
	}
}

// A delivery that died because its only recipient was refused can be replayed,
// also when the refusal was stored by an attempt before the last.
func TestSMSReplayAsksAgain(t *testing.T) {
	t.Parallel()
	const a, b = "+14155550100", "+14155550101"
	refused := &channel.Error{Action: channel.Permanent, Class: channel.ClassRejected}
	p := &texts{fail: map[string]error{a: refused, b: &channel.Error{Class: channel.ClassRejected}}}
	c := channelfixture.Open(t, smsDriver(t, p, sms.Options{}),
		sms.Config{PhoneNumbers: []string{a, b}})
	m := channelfixture.Message()
	result, err := c.Send(t.Context(), m)
	require.Error(t, err)
	assert.JSONEq(t, `{"refused":["`+a+`"]}`, string(result.Progress))

	p.fail[b] = refused
	m = channelfixture.Message()
	m.Progress = result.Progress
	result, err = c.Send(t.Context(), m)
	require.False(t, channel.AsError(err).Retryable())
	require.JSONEq(t, `{}`, string(result.Progress),
		"not nil, which would leave in place what is stored")

	p.fail = nil
	m = channelfixture.Message()
	m.Progress = result.Progress
	_, err = c.Send(t.Context(), m)
	assert.NoError(t, err)
	assert.Len(t, p.sent, 2, "both are asked again")
}

// A process that shuts down in the middle remembers who was reached.
func TestSMSCancelledInTheMiddle(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := providerFunc(func(ctx context.Context, to string) error {
		if to == "+14155550101" {
			cancel()
			return ctx.Err()
		}
		return nil
	})
	c := channelfixture.Open(t, smsDriver(t, p, sms.Options{}),
		sms.Config{PhoneNumbers: []string{"+14155550100", "+14155550101", "+14155550102"}})
	result, err := c.Send(ctx, channelfixture.Message())
	require.ErrorIs(t, err, context.Canceled)
	assert.JSONEq(t, `{"reached":["+14155550100"]}`, string(result.Progress))
}

type providerFunc func(ctx context.Context, to string) error

func (providerFunc) Host() string { return "" }

func (f providerFunc) SendSMS(ctx context.Context, to, _ string) (string, error) {
	return "SM1", f(ctx, to)
}

func TestSMSLength(t *testing.T) {
	t.Parallel()
	long := sms.Config{PhoneNumbers: []string{"+14155550100"},
		MessageTemplate: strings.Repeat("я", 300)}
	p := &texts{}
	_, err := channelfixture.Open(t, smsDriver(t, p, sms.Options{}), long).Send(t.Context(),
		channelfixture.Message())
	assert.EqualError(t, err,
		"channel: too_large: the text takes 5 segments of UCS-2, and at most 4 are sent")
	assert.False(t, channel.AsError(err).Retryable())
	assert.Empty(t, p.sent)

	_, err = channelfixture.Open(t, smsDriver(t, p, sms.Options{Truncate: true, MaxSegments: 2}),
		long).Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	text := strings.TrimPrefix(p.sent[0], "+14155550100 ")
	assert.True(t, strings.HasSuffix(text, "я..."))
	assert.Equal(t, 2, sms.CountSegments(text).Count)

	long.MessageTemplate = "{% if false %}x{% endif %}"
	_, err = channelfixture.Open(t, smsDriver(t, p, sms.Options{}), long).Send(t.Context(),
		channelfixture.Message())
	assert.EqualError(t, err, "channel: template: the text is empty")
}

func TestSMSConfigProblems(t *testing.T) {
	t.Parallel()
	d := smsDriver(t, &texts{}, sms.Options{})
	tests := []struct {
		config string
		want   []string
	}{
		{`{}`, []string{"phone_numbers"}},
		{`{"phone_numbers":[],"message_template":"{{ bad"}`,
			[]string{"phone_numbers", "message_template"}},
		{`{"phone_numbers":"+14155550100"}`, []string{"phone_numbers"}},
		{
			`{"phone_numbers":["14155550100","+0155550100","+1 415 555 0100","+1415555010012345","+1","+1415x550100","+14155550100",5]}`,
			[]string{"phone_numbers[0]", "phone_numbers[1]", "phone_numbers[2]", "phone_numbers[3]",
				"phone_numbers[4]", "phone_numbers[5]", "phone_numbers[7]"},
		},
	}
	for _, tt := range tests {
		_, err := d.Open(json.RawMessage(tt.config))
		var invalid *event.ValidationError
		if assert.ErrorAs(t, err, &invalid, tt.config) {
			var fields []string
			for _, p := range invalid.Problems {
				fields = append(fields, p.Field)
			}
			assert.Equal(t, tt.want, fields, "%s: %v", tt.config, err)
		}
	}
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprintf("+1415555%04d", i))
	}
	raw, err := json.Marshal(sms.Config{PhoneNumbers: many})
	require.NoError(t, err)
	_, err = d.Open(raw)
	assert.ErrorContains(t, err, "at most 50 numbers")
}

// twilioServer is Twilio's Messages resource as its documentation describes it.
func twilioServer(w http.ResponseWriter, r *http.Request) {
	refuse := func(status, code int, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w,
			`{"code":%d,"message":%q,"more_info":"https://www.twilio.com/docs/errors/%d","status":%d}`, code,
			message, code, status)
	}
	user, password, _ := r.BasicAuth()
	body, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(body))
	switch {
	case r.Method != http.MethodPost ||
		r.URL.Path != "/2010-04-01/Accounts/"+twilioAccount+"/Messages.json":
		refuse(404, 20404, "The requested resource was not found")
	case user != twilioAccount && !strings.HasPrefix(user, "SK") || password != twilioToken:
		refuse(401, 20003, "Authenticate")
	case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || err != nil:
		refuse(400, 21604, "A 'To' phone number is required.")
	case form.Get("From") == "" && form.Get("MessagingServiceSid") == "":
		refuse(400, 21603, "A 'From' phone number is required.")
	case form.Get("Body") == "":
		refuse(400, 21602, "Message body is required.")
	case form.Get("To") == "+14155550110":
		refuse(400, 21610, "Attempt to send to unsubscribed recipient")
	case form.Get("To") == "+14155550129":
		w.Header().Set("Retry-After", "2")
		refuse(429, 20429, "Too Many Requests")
	default:
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(
			w,
			`{"account_sid":"%s","api_version":"2010-04-01","body":%q,"error_code":null,"error_message":null,"num_segments":"1",`+
				`"price":null,"sid":"SM%032d","status":"queued","to":%q}`,
			twilioAccount,
			form.Get("Body"),
			1,
			form.Get("To"),
		)
	}
}

func TestTwilio(t *testing.T) {
	t.Parallel()
	base := channelfixture.Serve(t, twilioServer)
	good := sms.TwilioConfig{AccountSID: twilioAccount, AuthToken: twilioToken, From: "+14155550199",
		Client: channelfixture.Client(t), API: base}

	send := func(change func(*sms.TwilioConfig), to string) (string, *channel.Error) {
		config := good
		if change != nil {
			change(&config)
		}
		p, err := sms.NewTwilio(config)
		require.NoError(t, err)
		id, err := p.SendSMS(t.Context(), to, "hello & ümlaut")
		if err != nil {
			assert.NotContains(t, err.Error(), "sesame")
		}
		return id, channel.AsError(err)
	}
	id, failed := send(nil, "+14155550100")
	require.Nil(t, failed)
	assert.Equal(t, "SM00000000000000000000000000000001", id)

	_, failed = send(func(c *sms.TwilioConfig) {
		c.AuthToken, c.APIKey, c.APISecret = "", "SKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", twilioToken
		c.From, c.MessagingService = "", "MGaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	}, "+14155550100")
	require.Nil(t, failed)

	_, failed = send(nil, "+14155550110")
	assert.Equal(t, channel.Permanent, failed.Action, "opted out")
	assert.EqualError(t, failed, "channel: rejected 400: twilio says 21610")
	_, failed = send(nil, "+14155550129")
	assert.Equal(t, channel.Wait, failed.Action)
	assert.Equal(t, 2*time.Second, failed.RetryAfter)
	_, failed = send(func(c *sms.TwilioConfig) { c.AuthToken = "sesame-wrong" }, "+14155550100")
	assert.Equal(t, channel.Retry, failed.Action, "the operator corrects the token")
	assert.Equal(t, channel.ClassAuth, failed.Class)
}

func TestTwilioAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		body   string
		action channel.Action
		class  channel.Class
	}{
		{201, `{"sid":"SM1","status":"failed","error_code":30006}`, channel.Permanent,
			channel.ClassRejected},
		{200, `<html>`, channel.Retry, channel.ClassProtocol},
		{400, `{"code":21211,"status":400}`, channel.Permanent, channel.ClassRejected},
		{400, `{"code":99999,"status":400}`, channel.Retry, channel.ClassRejected},
		{429, `{"code":20429}`, channel.Retry, channel.ClassRejected},
		{500, `{"code":20500}`, channel.Retry, channel.ClassRejected},
		{503, ``, channel.Retry, channel.ClassStatus},
	}
	for _, tt := range tests {
		base := channelfixture.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		})
		p, err := sms.NewTwilio(sms.TwilioConfig{AccountSID: twilioAccount, AuthToken: twilioToken,
			From: "ACME", Client: channelfixture.Client(t), API: base})
		require.NoError(t, err)
		_, err = p.SendSMS(t.Context(), "+14155550100", "x")
		got := channel.AsError(err)
		if assert.NotNil(t, got, "%+v", tt) {
			assert.Equal(t, tt.action, got.Action, "%+v", tt)
			assert.Equal(t, tt.class, got.Class, "%+v", tt)
		}
	}
}

// A 201 is a text that was accepted and is paid for. Whatever becomes of its
// body, it is not sent again.
func TestTwilioAcceptedIsAccepted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or more")
	}
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			w.WriteHeader(http.StatusCreated)
			channelfixture.BreakOff(w, `{"sid":"SM0123456789abcdef0123456789abcdef","status":"queued",`)
		},
		"hanging": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"empty": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) },
		"nonsense": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, "<html>")
		},
		"no sid": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, "{}")
		},
	} {
		base := channelfixture.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			answer(w, r)
		})
		p, err := sms.NewTwilio(sms.TwilioConfig{AccountSID: twilioAccount, AuthToken: twilioToken,
			From: "ACME", Client: channelfixture.Client(t), API: base})
		require.NoError(t, err)
		timeout := time.Minute
		if name == "hanging" {
			timeout = 2 * time.Second // the status has to arrive in it
		}
		c := channelfixture.Open(t, smsDriver(t, p, sms.Options{Timeout: timeout}),
			sms.Config{PhoneNumbers: []string{"+14155550100"}})
		result, err := c.Send(t.Context(), channelfixture.Message())
		assert.NoError(t, err, name)
		assert.JSONEq(t, `{"reached":["+14155550100"]}`, string(result.Progress), name)
	}
}

// Twilio's codes are read whatever MaxResponse says.
func TestTwilioCodesAreReadWithASmallMaxResponse(t *testing.T) {
	t.Parallel()
	base := channelfixture.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"message":"`+strings.Repeat("x", 3_000)+`","code":21610}`)
	})
	p, err := sms.NewTwilio(sms.TwilioConfig{AccountSID: twilioAccount, AuthToken: twilioToken,
		From: "ACME", API: base, Client: channelfixture.NewClient(t, channelkit.HTTPConfig{
			AllowHTTP: true, AllowPrivate: true, MaxResponse: 100})})
	require.NoError(t, err)
	_, err = p.SendSMS(t.Context(), "+14155550100", "x")
	require.ErrorContains(t, err, "twilio says 21610")
	assert.Equal(t, channel.Permanent, channel.AsError(err).Action)
}

func TestNewTwilioProblems(t *testing.T) {
	t.Parallel()
	_, err := sms.NewTwilio(sms.TwilioConfig{API: "http://localhost"})
	for _, want := range []string{"AccountSID", "AuthToken: is required", "From: is required",
		"API: must be https"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = sms.NewTwilio(sms.TwilioConfig{AccountSID: twilioAccount, AuthToken: "sesame",
		APIKey: "sesame", From: "x", MessagingService: "MG1"})
	for _, want := range []string{"APIKey: must be SK", "AuthToken: must not", "From: must not"} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "sesame")
	_, err = sms.NewTwilio(sms.TwilioConfig{AccountSID: twilioAccount, AuthToken: "x",
		MessagingService: "MG1"})
	assert.ErrorContains(t, err, "MessagingService: must be MG")
}

func TestTwilioContract(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	channelfixture.EachTransport(t, func(t *testing.T, config channelkit.HTTPConfig) {
		config.MaxResponse = 64 << 10 // endless sooner
		client := channelfixture.NewClient(t, config)
		channeltest.Run(t, channeltest.Harness{
			Driver: channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
				var c struct {
					API  string
					Hang bool
				}
				if err := json.Unmarshal(config, &c); err != nil || c.API == "" {
					return smsDriver(t, &texts{}, sms.Options{}).Open(config)
				}
				p, err := sms.NewTwilio(sms.TwilioConfig{AccountSID: twilioAccount, AuthToken: twilioToken,
					From: "+14155550199", Client: client, API: c.API})
				if err != nil {
					return nil, err
				}
				options := sms.Options{}
				if c.Hang {
					options.Timeout = time.Second
				}
				return smsDriver(t, p, options).Open(config)
			}),
			HTTP: &channeltest.HTTP{
				Config: func(base string) json.RawMessage {
					return json.RawMessage(`{"api":"` + base + `","phone_numbers":["+14155550100"]}`)
				},
				Accept: twilioServer,
			},
			Hanging: func(t testing.TB) json.RawMessage {
				return json.RawMessage(`{"api":"http://127.0.0.1:` + channelfixture.HangingPort(
					t) + `","hang":true,"phone_numbers":["+14155550100"]}`)
			},
			Answers: []channeltest.Answer{
				says("accepted", channel.Success, `{"sid":"SM1","status":"queued","error_code":null}`),
				says("opted out", channel.Permanent, `{"code":21610}`),
				says("too many requests", channel.Wait, `{"code":20429}`),
				says("sender not valid", channel.Retry, `{"code":21212}`),
				says("something else", channel.Retry, `<html>`),
			},
			Bad: []channeltest.Bad{{Name: "nobody", Config: `{"phone_numbers":["911"]}`,
				Fields: []string{"phone_numbers[0]"}}},
			Secrets: []string{twilioToken},
			Close:   client.CloseIdleConnections,
		})
	})
}

func says(name string, want channel.Action, body string) channeltest.Answer {
	return channeltest.Answer{Name: name, Want: want,
		Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			_, _ = io.WriteString(w, body)
		}}
}

// An attempt sends a text to each number, so there are fewer attempts than texts.
func TestSMSRate(t *testing.T) {
	t.Parallel()
	numbers := `{"phone_numbers": ["+14155550100", "+14155550101", "+14155550102", "+14155550103"]}`
	for given, want := range map[float64]float64{0: 0.25, 100: 25, sms.NoRateLimit: 0} {
		c, err := smsDriver(t, &texts{}, sms.Options{MessagesPerSecond: given}).Open([]byte(numbers))
		require.NoError(t, err)
		can := c.Capabilities()
		assert.InDelta(t, want, can.AttemptsPerSecond, 1e-9)
		assert.Zero(t, can.AttemptBurst)
	}
}

func TestNewDriverProblems(t *testing.T) {
	t.Parallel()
	_, err := sms.NewDriver((*sms.Twilio)(nil), sms.Options{})
	require.EqualError(t, err, "sms: NewDriver: the provider is nil")
	_, err = sms.NewDriver(&texts{}, sms.Options{MaxSegments: -1, Timeout: -1, MessagesPerSecond: -2})
	assert.EqualError(
		t,
		err,
		"sms: NewDriver: invalid: MaxSegments: must be at least 1, is -1; Timeout: must be at least 1ms, is -1ns; "+
			"MessagesPerSecond: must be above 0 and at most 10000, or NoRateLimit",
	)
}
