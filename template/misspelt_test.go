package template

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

func TestMisspelt(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]Slip{
		"{{ evnt_id }}":                             {{"evnt_id", "event_id", "", 1, 4}},
		"{{ event_id }}\n {{ evnt.x|upper }}":       {{"evnt", "event", "", 2, 5}},
		"{% if subjct.id == 'x' %}{% endif %}":      {{"subjct", "subject", "", 1, 7}},
		"{% for x in metdata %}{{ x }}{% endfor %}": {{"metdata", "metadata", "", 1, 13}},
		"{{ x|join(evnt_type) }}{{ evnt_type }}":    {{"evnt_type", "event_type", "", 1, 11}},
		"{{ {'a': occurrd_at} }}":                   {{"occurrd_at", "occurred_at", "", 1, 10}},
		"{% set x = name_space %}":                  {{"name_space", "namespace", "", 1, 12}},
		"{% call(x) m() %}{{ acter }}{% endcall %}": {{"acter", "actor", "", 1, 21}},
		"{{ event_typ ~ evnt_id }}": {{"event_typ", "event_type", "", 1, 4},
			{"evnt_id", "event_id", "", 1, 16}},

		"{{ evetn_id }}{{ xevent }}{{ actro }}": {{"evetn_id", "event_id", "", 1, 4},
			{"xevent", "event", "", 1, 18}, {"actro", "actor", "", 1, 30}},

		// Right, or not known to be wrong.
		"plain evnt_id, {# {{ evnt_id }} #} {% raw %}{{ evnt_id }}{% endraw %}":                  nil,
		"{{ event_id }} {{ event.evnt_id }} {{ metadata.evnt_id }} {{ metadata['evnt_id'] }}":    nil,
		"{{ tenant_name }} {{ event_kind }} {{ user }} {{ versions() }}":                         nil,
		"{{ evnt_id is defined }} {{ evnt_id }}":                                                 nil,
		"{% if evnt_id is not defined %}{% endif %}":                                             nil,
		"{{ evnt_id|default('-') }} {{ evnts|d }}":                                               nil,
		"{% set evnt_id = 1 %}{{ evnt_id }}":                                                     nil,
		"{% set evnt, subjct = 1, 2 %}{{ evnt }}{{ subjct }}":                                    nil,
		"{% set evnt_id %}x{% endset %}{{ evnt_id }}":                                            nil,
		"{% for evnt in [1] %}{{ evnt }}{{ loop.index }}{% endfor %}":                            nil,
		"{% macro subjct(acter, versio=1) %}{{ acter }}{{ versio }}{% endmacro %}{{ subjct() }}": nil,
		"{% call(acter) m() %}{{ acter }}{% endcall %}":                                          nil,
		"{% with evnt_id = event_id %}{{ evnt_id }}{% endwith %}":                                nil,
		"{{ namespace(evnt_id=1) }} {{ dict(subjct=1) }} {{ not event }}":                        nil,
		"{% block evnt %}{% endblock %}":                                                         nil,
		"{{ evnt_id":                                                                             nil,
	} {
		assert.Equal(t, want, Misspelt(source), source)
	}
}

// The names that are known are those that an event has.
func TestVariablesAreThoseOfData(t *testing.T) {
	t.Parallel()
	e := &event.Event{
		ID: "i", Type: "t", OccurredAt: time.Unix(1, 0), Namespace: "n", NamespaceID: "i",
		Collection: "c", Actor: "a", Version: "v",
		IndexSignature: "s", CacheScope: &event.CacheScope{},
	}
	assert.ElementsMatch(t, variables(), slices.Collect(maps.Keys(Data(e))))
	for _, v := range variables() {
		require.Empty(t, nearest(v))
	}
}

func TestMisspeltInAnObjectNamesItsLeaf(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []Slip{
		{"evnt_id", "event_id", "/a/b~1c/1", 1, 4},
		{"subjct", "subject", "/z", 2, 4},
		{"evnt_id", "event_id", "/z", 2, 20},
	}, MisspeltObject([]byte(`{"a": {"b/c": [1, "{{ evnt_id }}{{ event_id }}"]}, "y": "evnt_id {{ event_id }}", "z": "\n{{ subjct.id }} {{ evnt_id }}"}`)))
	assert.Empty(t, MisspeltObject([]byte(`{"a": "{{ x }}"}`)))
	assert.Empty(t, MisspeltObject([]byte(`{"a": `)))
}
