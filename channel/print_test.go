package channel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
)

// configs are all exported structs of the package whose names end in Config or
// Options, with the fields that may be printed: every other text is a secret
// until it stands here. wire are those whose JSON is the stored configuration.
var configs = []struct {
	value  any
	public string
	wire   bool
}{
	{channel.WebhookConfig{}, "Method", true},
	{channel.SlackConfig{}, "ChannelID WorkspaceID Channel Username IconEmoji IconURL", true},
	{channel.EmailConfig{}, "ToAddresses CCAddresses BCCAddresses SubjectTemplate BodyTemplate ContentType", true},
	{channel.SMSConfig{}, "PhoneNumbers MessageTemplate", true},
	{channel.SMTPConfig{}, "Host TLS Username From HELO Hello Auth EnvelopeFrom", false},
	{channel.TwilioConfig{}, "AccountSID APIKey From MessagingService API", false},
	{channel.HTTPConfig{}, "UserAgent", false},
	{channel.WebhookOptions{}, "", false},
	{channel.SlackOptions{}, "API", false},
	{channel.EmailOptions{}, "", false},
	{channel.TargetConfig{}, "Method", false},
	{channel.SMSOptions{}, "", false},
	{channel.StandardConfig{}, "UserAgent API", false},
}

// No configuration prints a secret, in any way that a log may print it.
func TestConfigsPrintNoSecret(t *testing.T) {
	t.Parallel()
	var known []string
	for _, c := range configs {
		typ := reflect.TypeOf(c.value)
		known = append(known, typ.Name())
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
		case map[string]string:
			f.Set(reflect.ValueOf(map[string]string{"X-Header": text}))
		default:
			if f.Kind() == reflect.String {
				f.SetString(text)
			}
			if f.Kind() == reflect.Struct && f.Type().PkgPath() == v.Type().PkgPath() {
				plant(f, public)
			}
		}
	}
}

// configStructs reads the names of the configurations from the source.
func configStructs(t testing.TB) []string {
	files, err := parser.ParseDir(token.NewFileSet(), ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0) //nolint:staticcheck // names are enough
	require.NoError(t, err)
	var names []string
	ast.Inspect(files["channel"], func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSpec); ok && s.Name.IsExported() && (strings.HasSuffix(s.Name.Name, "Config") || strings.HasSuffix(s.Name.Name, "Options")) {
			names = append(names, s.Name.Name)
		}
		return true
	})
	return names
}

// What a configuration is made into prints none either.
func TestChannelsPrintNoSecret(t *testing.T) {
	t.Parallel()
	twilio, err := channel.NewTwilio(channel.TwilioConfig{
		AccountSID: "AC" + strings.Repeat("0", 32), AuthToken: "sesame-sesame", From: "+14155550100",
	})
	require.NoError(t, err)
	smtp, err := channel.NewSMTP(channel.SMTPConfig{Host: "mail.example.com", From: "hooks@example.com", Username: "u", Password: "sesame-sesame"})
	require.NoError(t, err)
	r, err := channel.Standard(channel.StandardConfig{SMTP: smtp, SMS: twilio})
	require.NoError(t, err)
	values := []any{twilio, smtp, r, channel.StandardConfig{SMTP: smtp, SMS: twilio}}
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
		for _, printed := range []string{fmt.Sprintf("%v %+v %#v", v, v, v), fmt.Sprintf("%v %+v %#v", []any{v}, []any{v}, []any{v})} {
			assert.NotContains(t, printed, "sesame", "%T", v)
			assert.NotContains(t, printed, "MfKQ9r8", "%T", v)
		}
	}
}
