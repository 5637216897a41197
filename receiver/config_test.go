package receiver_test

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	one := []receiver.Secret{{Value: secret}}
	tests := []struct {
		name   string
		cfg    receiver.Config
		fields []string
	}{
		{"nothing to verify with", receiver.Config{}, []string{""}},
		{"empty secret", receiver.Config{Secrets: []receiver.Secret{{Value: secret}, {}}},
			[]string{"Secrets[1].Value"}},
		{"secret with a newline", receiver.Config{Secrets: []receiver.Secret{{Value: secret + "\n"}}},
			[]string{"Secrets[0].Value"}},
		{"secret with a control character",
			receiver.Config{Secrets: []receiver.Secret{{Value: "a\x00b"}}},
			[]string{"Secrets[0].Value"}},
		{"consumer that could be one and an id",
			receiver.Config{Secrets: one, Consumer: "billing/eu"}, []string{"Consumer"}},
		{"AnyOf of one", receiver.Config{Secrets: one, AnyOf: true}, []string{"AnyOf"}},
		{"secret in a header that net/http removes",
			receiver.Config{Secrets: one, SecretHeader: "host"}, []string{"SecretHeader"}},
		{"secret in a header of its own meaning",
			receiver.Config{Secrets: one, SecretHeader: "webhook-id"}, []string{"SecretHeader"}},
		{"everything at once", receiver.Config{
			Secrets:           one,
			SecretHeader:      "not a name",
			TrustedProxies:    []netip.Prefix{{}},
			ContentTypes:      []string{"application/json", "Text/XML; charset=utf-8"},
			Consumer:          "two words",
			MaxBody:           -1,
			MaxDecoded:        -1,
			ReadTimeout:       -1,
			ClaimTimeout:      -1,
			InvalidateTimeout: -1,
			Lease:             time.Millisecond,
			Keep:              time.Microsecond,
		}, []string{"SecretHeader", "TrustedProxies[0]", "ContentTypes[1]", "Consumer", "MaxBody",
			"MaxDecoded", "ReadTimeout", "ClaimTimeout", "InvalidateTimeout", "Lease", "Keep"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := receiver.New(tt.cfg)
			var invalid *event.ValidationError
			require.ErrorAs(t, err, &invalid)
			var fields []string
			for _, p := range invalid.Problems {
				fields = append(fields, p.Field)
			}
			assert.Equal(t, tt.fields, fields)
			assert.NotContains(t, err.Error(), secret)
			assert.Regexp(t, "^receiver: New: ", err.Error())
		})
	}
}

// What a caller does with its lists after New has no effect.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	types, secrets := []string{"application/json"}, []receiver.Secret{{Value: secret}}
	b := setup(t, func(c *receiver.Config) {
		c.AllowHTTP, c.TrustedProxies, c.ContentTypes, c.Secrets = false, proxies, types, secrets
	})
	proxies[0] = netip.MustParsePrefix("0.0.0.0/0")
	types[0], secrets[0].Value = "text/plain", "another-secret-of-another-sender"
	for peer, status := range map[string]int{"192.0.2.1:1": 200, "198.51.100.7:1": 400} {
		r := post(envelope(t, "evt_1"))
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-Proto", "https")
		assert.Equal(t, status, serve(b.Handler(receiver.HandlerFunc(ok)), r).Code, peer)
	}
}

// Zero is the default, and a negative number is an error, in every field.
func TestNegativeIsRefused(t *testing.T) {
	t.Parallel()
	for _, build := range []func(field int) (name string, err error){
		func(field int) (string, error) {
			cfg := receiver.Config{Secrets: []receiver.Secret{{Value: secret}}}
			name := negate(&cfg, field)
			_, err := receiver.New(cfg)
			return name, err
		},
		func(field int) (string, error) {
			var cfg receiver.MemoryConfig
			name := negate(&cfg, field)
			_, err := receiver.NewMemory(cfg)
			return name, err
		},
	} {
		for field := 0; ; field++ {
			name, err := build(field)
			if name == "" {
				require.NoError(t, err)
				require.NotZero(t, field, "no field was tried")
				break
			}
			var invalid *event.ValidationError
			require.ErrorAs(t, err, &invalid, name)
			assert.Equal(t, name, invalid.Problems[0].Field)
		}
	}
}

// negate makes the nth number of a configuration negative and returns its name,
// which is empty if there are fewer.
func negate(config any, n int) string {
	v := reflect.ValueOf(config).Elem()
	for i := range v.NumField() {
		if !v.Field(i).CanInt() {
			continue
		}
		if n == 0 {
			v.Field(i).SetInt(-1)
			return v.Type().Field(i).Name
		}
		n--
	}
	return ""
}

// Keys that are too short are refused before a Receiver is made.
func TestSigningKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "whsec_", "whsec_c2hvcnQ=", "whpk_c2hvcnQ=", "secret"} {
		_, err := signature.ParseKey(key)
		assert.Error(t, err, key)
	}
	_, err := signature.NewVerifier(signature.Config{})
	assert.Error(t, err)
}
