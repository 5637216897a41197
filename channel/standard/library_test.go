package standard_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/internal/channelfixture"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/template"
)

// The library of a Config reaches the templates of every channel, and
// what it does not have is named when a configuration is opened.
func TestLibrary(t *testing.T) {
	t.Parallel()
	library, err := template.NewLibrary(template.LibraryConfig{Ready: template.ReadyHashes})
	require.NoError(t, err)
	smtp, err := email.NewSMTP(email.SMTPConfig{Host: "mail.example.com", From: "hooks@example.com"})
	require.NoError(t, err)
	var body []byte
	url := channelfixture.Serve(t, func(_ http.ResponseWriter,
		r *http.Request) {
		body, _ = io.ReadAll(r.Body)
	})
	client := channelkit.HTTPConfig{AllowHTTP: true, AllowPrivate: true}
	with, err := standard.New(standard.Config{HTTP: client, SMTP: smtp, SMS: noTexts{},
		Library: library})
	require.NoError(t, err)
	without, err := standard.New(standard.Config{HTTP: client, SMTP: smtp, SMS: noTexts{}})
	require.NoError(t, err)

	for _, c := range []struct{ name, config string }{
		{httpendpoint.Name, `{"url":"` + url + `","payload_template":{"h":"{{ subject.id|md5 }}"}}`},
		{slack.Name,
			`{"webhook_url":"https://hooks.slack.com/x","blocks_template":"[{{ subject.id|md5 }}]"}`},
		{slack.Name,
			`{"webhook_url":"https://hooks.slack.com/x","blocks":[{"t":"{{ subject.id|md5 }}"}]}`},
		{email.Name, `{"to_addresses":["a@example.com"],"subject_template":"{{ subject.id|md5 }}"}`},
		{email.Name, `{"to_addresses":["a@example.com"],"body_template":"{{ subject.id|md5 }}"}`},
		{email.Name,
			`{"to_addresses":["a@example.com"],"content_type":"json","body_template":"{{ subject.id|md5|tojson }}"}`},
		{sms.Name, `{"phone_numbers":["+14155550100"],"message_template":"{{ subject.id|md5 }}"}`},
	} {
		_, err := with.Open(c.name, json.RawMessage(c.config))
		require.NoError(t, err, c.config)
		_, err = without.Open(c.name, json.RawMessage(c.config))
		assert.ErrorContains(t, err, `no filter named "md5"`, c.config)
		assert.ErrorContains(t, err, "line 1, column ", c.config)
	}
	c, err := with.Open(httpendpoint.Name,
		json.RawMessage(`{"url":"`+url+`","payload_template":{"h":"{{ subject.id|md5 }}"}}`))
	require.NoError(t, err)
	_, err = c.Send(t.Context(), channelfixture.Message())
	require.NoError(t, err)
	assert.JSONEq(t, `{"h":"ebe3bcf45fa2959557b65128c23c93b0"}`, string(body))
}
