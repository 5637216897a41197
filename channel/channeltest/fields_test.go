package channeltest

import (
	"encoding/json"
	"testing"

	"github.com/mixpeek/webhooks-go/channel"
)

// listing is a driver with a Schema.
type listing struct {
	channel.Driver
	fields []channel.Field
}

func (l listing) Schema() channel.Schema { return channel.Schema{Fields: l.fields} }

func TestSuiteFindsUnlistedFields(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for tenths of a second")
	}
	for name, tt := range map[string]struct {
		fields []channel.Field
		want   string
	}{
		"all":     {[]channel.Field{{Name: "url"}, {Name: "token", Secret: true}}, ""},
		"missing": {[]channel.Field{{Name: "url"}}, "FieldsAreAllThereAre Wrapped/FieldsAreAllThereAre"},
		"twice": {[]channel.Field{{Name: "url"}, {Name: "token"}, {Name: "url"}},
			"FieldsAreAllThereAre Wrapped/FieldsAreAllThereAre"},
		"unnamed": {[]channel.Field{{Name: "url"}, {Name: "token"}, {}},
			"FieldsAreAllThereAre Wrapped/FieldsAreAllThereAre"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := fake{open: invalid}.harness()
			h.Driver = listing{h.Driver, tt.fields}
			h.Accepting = func(testing.TB) json.RawMessage {
				return json.RawMessage(
					`{"url":"u","token":"t"}`)
			}
			if got := failing(t, h); got != tt.want {
				t.Errorf("the suite finds %q, not %q", got, tt.want)
			}
		})
	}
}
