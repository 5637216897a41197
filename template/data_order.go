package template

import (
	"github.com/mixpeek/webhooks-go/event"
)

// DataInOrder is [Data] of an event that was decoded from an envelope, with all objects in the
// order in which the envelope has them: loops, printing and items() show them as the sender wrote
// them. (A map of Go has no order; Data sorts by key.) The envelope must be the JSON that e was
// decoded from.
func DataInOrder(e *event.Event, envelope []byte) map[string]any {
	data := Data(e)
	top, ok := decodeInOrder(envelope).(*dict)
	if !ok {
		return data
	}
	all, _ := data["event"].(map[string]any)
	inOrder := &dict{frozen: true, ordered: true}
	put := func(name string) {
		if v, ok := all[name]; ok {
			inOrder.put(name, v)
		}
	}
	for i, key := range top.keys {
		name, _ := key.(string)
		if _, ok := all[name]; !ok {
			continue
		}
		if _, extra := e.Extra[name]; extra || name == "metadata" && e.Metadata != nil {
			all[name], data[name] = top.values[i], top.values[i]
		}
		put(name)
	}
	for _, name := range sortedKeys(all) {
		put(name)
	}
	data["event"] = inOrder.indexed()
	return data
}
