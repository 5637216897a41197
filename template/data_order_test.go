package template

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
)

// Templates see the objects of an event in the sender's order, except where Jinja2 sorts.
func TestDataInOrder(t *testing.T) {
	t.Parallel()
	const envelope = `{"event_type":"a.b","zeta":{"b":1,"a":2},"metadata":{"z":1,"a":{"y":[{"d":1,"c":2}],"x":null},"m":"\u00e9\n","k5":5,"k4":4,"k3":3,"k2":2,"k1":1.50,"big":12345678901234567890},
		"event_id":"evt_1","subject":{"type":"t","id":"i"}}`
	e, err := event.Decode([]byte(envelope))
	require.NoError(t, err)
	data := DataInOrder(e, []byte(envelope))
	for source, want := range map[string]string{
		"{% for k in metadata %}{{ k }} {% endfor %}": "z a m k5 k4 k3 k2 k1 big ",
		"{{ metadata.a }} {{ zeta }}":                 "{'y': [{'d': 1, 'c': 2}], 'x': None} {'b': 1, 'a': 2}",
		"{{ metadata.a.items()|list }}":               "[('y', [{'d': 1, 'c': 2}]), ('x', None)]",
		"{{ zeta|tojson }} {{ metadata.a|tojson }}":   `{"a": 2, "b": 1} {"x": null, "y": [{"c": 2, "d": 1}]}`,
		"{{ zeta|dictsort }}":                         "[('a', 2), ('b', 1)]",
		"{{ event|list|join(' ') }}":                  "event_type zeta metadata event_id subject",
		"{{ event.metadata.z }} {{ event.zeta.b }}":   "1 1",
		"{{ metadata.k1 }} {{ metadata.big }} {{ metadata.m|length }} {{ metadata.nope is defined }} {{ 'k3' in metadata }}": "1.5 12345678901234567890 2 False True",
		"{% set d = dict(metadata.a) %}{{ d.pop('y') }}{{ d }}":                                                              "[{'d': 1, 'c': 2}]{'x': None}",
	} {
		got, err := render(t, source, data, Options{})
		require.NoError(t, err, source)
		assert.Equal(t, want, got, source)
	}
	for _, source := range []string{"{{ metadata.update(a=1) }}", "{{ metadata.a.y.append(1) }}",
		"{{ metadata.pop('z') }}", "{{ event.clear() }}", "{% set x = metadata.setdefault('n', 1) %}"} {
		_, err := render(t, source, data, Options{})
		require.ErrorIs(t, err, ErrForbidden, source)
	}
	o, err := CompileObject(json.RawMessage(`{"all": "{{ metadata.a }}"}`), Options{})
	require.NoError(t, err)
	b, err := o.Render(t.Context(), data)
	require.NoError(t, err)
	assert.Contains(t, string(b), `{"y":[{"d":1,"c":2}],"x":null}`)

	// Many renders may share the data.
	var wg sync.WaitGroup
	tpl, err := Compile("{{ metadata.k1 }}{{ metadata }}{{ metadata|tojson }}{{ event['k'] }}{{ metadata == dict(metadata) }}", Options{})
	require.NoError(t, err)
	for range 8 {
		wg.Go(func() {
			for range 20 {
				_, err := tpl.Render(t.Context(), data)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
}
