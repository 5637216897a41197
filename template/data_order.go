package template

import (
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// DataInOrder is [Data] of an event that was decoded from an envelope, with all objects in the
// order in which the envelope has them: loops, printing and items() show them as the sender wrote
// them. (A map of Go has no order; Data sorts by key.) The envelope must be the JSON that e was
// decoded from.
func DataInOrder(e *event.Event, envelope []byte) map[string]any {
	data := Data(e)
	top, ok := python.DecodeInOrder(envelope).(*python.Dict)
	if !ok {
		return data
	}
	all, _ := data["event"].(map[string]any)
	inOrder := &python.Dict{Frozen: true, Ordered: true}
	put := func(name string) {
		if v, ok := all[name]; ok {
			inOrder.Put(name, v)
		}
	}
	for i, key := range top.Keys {
		name, _ := key.(string)
		if _, ok := all[name]; !ok {
			continue
		}
		if _, extra := e.Extra[name]; extra || name == "metadata" && e.Metadata != nil {
			all[name], data[name] = top.Values[i], top.Values[i]
		}
		put(name)
	}
	for _, name := range python.SortedKeys(all) {
		put(name)
	}
	data["event"] = inOrder.Indexed()
	return data
}
