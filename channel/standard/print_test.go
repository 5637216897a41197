package standard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/channel/email"
	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/slack"
	"github.com/mixpeek/webhooks-go/channel/sms"
	"github.com/mixpeek/webhooks-go/channel/standard"
)

// configs are all exported structs of the packages whose names end in Config or
// Options, with the fields that may be printed: every other text is a secret
// until it stands here. wire are those whose JSON is the stored configuration.
var configs = []struct {
	value  any
	public string
	wire   bool
}{
	{httpendpoint.Config{}, "Method", true},
	{slack.Config{}, "ChannelID WorkspaceID Channel Username IconEmoji IconURL", true},
	{email.Config{}, "ToAddresses CCAddresses BCCAddresses SubjectTemplate BodyTemplate ContentType",
		true},
	{sms.Config{}, "PhoneNumbers MessageTemplate", true},
	{email.SMTPConfig{}, "Host TLS Username From HELO Hello Auth EnvelopeFrom", false},
	{sms.TwilioConfig{}, "AccountSID APIKey From MessagingService API", false},
	{channelkit.HTTPConfig{}, "UserAgent", false},
	{httpendpoint.Options{}, "", false},
	{slack.Options{}, "API", false},
	{email.Options{}, "", false},
	{channelkit.TargetConfig{}, "Method", false},
	{sms.Options{}, "", false},
	{standard.Config{}, "UserAgent API", false},
}

// No configuration prints a secret, in any way that a log may print it.
func TestConfigsPrintNoSecret(t *testing.T) {
	t.Parallel()
	var known []string
	for _, c := range configs {
		typ := reflect.TypeOf(c.value)
		known = append(known, typ.String())
		v := reflect.New(typ).Elem()
		plant(v, strings.Fields(c.public))
		if !strings.Contains(fmt.Sprintf("%#v", v.Interface()), "planted") {
			require.Empty(t, c.public, "%s: nothing is printed at all", typ.Name())
		}
		for _, printed := range printings(t, v.Interface(), !c.wire) {
			assert.NotContains(t, printed, "sesame", typ.Name())
			assert.NotContains(t, printed, fmt.Sprint([]byte("sesame"))[1:20], "%s, as numbers", typ.Name())
		}
	}
	assert.ElementsMatch(t, configStructs(t), known, "a new configuration belongs into this test")
}

// printings are the ways in which values are printed.
func printings(t testing.TB, v any, asJSON bool) []string {
	ptr := reflect.New(reflect.TypeOf(v))
	ptr.Elem().Set(reflect.ValueOf(v))
	var list []string
	for _, v := range []any{v, ptr.Interface(), []any{v}} {
		list = append(list, fmt.Sprint(v), fmt.Sprintf("%v %+v %#v %s %q %x", v, v, v, v, v, v))
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("a configuration", "value", v, "pointer", ptr.Interface())
	}
	list = append(list, log.String())
	if asJSON {
		b, err := json.Marshal(v) // not of all
		list = append(list, string(b), fmt.Sprint(err))
	}
	return list
}

// plant fills all texts: public fields with a word, the others with a secret.
func plant(v reflect.Value, public []string) {
	for i := range v.NumField() {
		text := "https://host.example/sesame"
		for _, name := range public {
			if v.Type().Field(i).Name == name {
				text = "planted"
			}
		}
		switch f := v.Field(i); f.Interface().(type) {
		case json.RawMessage:
			f.SetBytes([]byte(`"` + text + `"`))
		case []string:
			f.Set(reflect.ValueOf([]string{text}))
		case []channel.Secret:
			f.Set(reflect.ValueOf([]channel.Secret{channel.Secret(text)}))
		case map[string]string:
			f.Set(reflect.ValueOf(map[string]string{"X-Header": text}))
		default:
			if f.Kind() == reflect.String {
				f.SetString(text)
			}
			if f.Kind() == reflect.Struct && strings.Contains(f.Type().PkgPath(), "/channel/") {
				plant(f, public)
			}
		}
	}
}

// configStructs reads the names of the configurations from the sources.
func configStructs(t testing.TB) []string {
	var names []string
	for _, pkg := range []string{"channelkit", "httpendpoint", "slack", "email", "sms", "standard"} {
		files, err := filepath.Glob("../" + pkg + "/*.go")
		require.NoError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.TypeSpec); ok && s.Name.IsExported() &&
					(strings.HasSuffix(s.Name.Name, "Config") || strings.HasSuffix(s.Name.Name, "Options")) {
					names = append(names, pkg+"."+s.Name.Name)
				}
				return true
			})
		}
	}
	return names
}

// What a configuration is made into prints none either.
func TestChannelsPrintNoSecret(t *testing.T) {
	t.Parallel()
	twilio, err := sms.NewTwilio(sms.TwilioConfig{
		AccountSID: "AC" + strings.Repeat("0", 32), AuthToken: "sesame-sesame", From: "+14155550100",
	})
	require.NoError(t, err)
	smtp, err := email.NewSMTP(email.SMTPConfig{Host: "mail.example.com", From: "hooks@example.com",
		Username: "u", Password: "sesame-sesame"})
	require.NoError(t, err)
	r, err := standard.New(standard.Config{SMTP: smtp, SMS: twilio})
	require.NoError(t, err)
	values := []any{twilio, smtp, r, standard.Config{SMTP: smtp, SMS: twilio}}
	for name, config := range map[string]string{
		"webhook": `{"url":"https://example.com/sesame-sesame","headers":{"X":"sesame-sesame"},"signing_secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","payload_template":{"a":"sesame-sesame"}}`,
		"slack":   `{"webhook_url":"https://hooks.slack.com/services/sesame-sesame"}`,
		"email":   `{"to_addresses":["a@example.com"]}`,
		"sms":     `{"phone_numbers":["+14155550100"]}`,
	} {
		ch, err := r.Open(name, json.RawMessage(config))
		require.NoError(t, err, name)
		values = append(values, ch)
	}
	for _, v := range values {
		for _, printed := range []string{fmt.Sprintf("%v %+v %#v", v, v, v),
			fmt.Sprintf("%v %+v %#v", []any{v}, []any{v}, []any{v})} {
			assert.NotContains(t, printed, "sesame", "%T", v)
			assert.NotContains(t, printed, "MfKQ9r8", "%T", v)
		}
	}
}

// Printing what is kept shows no secret.
func TestNothingPrintsItsSecrets(t *testing.T) {
	t.Parallel()
	smtp, err := email.NewSMTP(email.SMTPConfig{Host: "h.example.com", From: "a@example.com",
		Username: "u", Password: "sesame-password"})
	require.NoError(t, err)
	twilio, err := sms.NewTwilio(sms.TwilioConfig{AccountSID: "AC" + strings.Repeat("0", 32),
		AuthToken: "sesame-token", From: "ACME"})
	require.NoError(t, err)
	r, err := standard.New(standard.Config{SMTP: smtp, SMS: twilio})
	require.NoError(t, err)
	var printed strings.Builder
	fmt.Fprintf(&printed, "%v %+v %#v %v %+v %#v", smtp, smtp, smtp, twilio, twilio, twilio)
	for name, config := range map[string]string{
		"webhook": `{"url":"https://example.com/sesame?a=sesame-query","headers":{"A":"sesame-header"},"signing_secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`,
		"slack":   `{"bot_token":"xoxb-sesame","channel_id":"C1"}`,
		"email":   `{"to_addresses":["a@example.com"]}`,
		"sms":     `{"phone_numbers":["+14155550100"]}`,
	} {
		c, err := r.Open(name, json.RawMessage(config))
		require.NoError(t, err)
		fmt.Fprintf(&printed, "%v %+v %#v", c, c, c)
	}
	assert.NotContains(t, printed.String(), "sesame")
	assert.NotContains(t, printed.String(), "MfKQ9r8G")
}
