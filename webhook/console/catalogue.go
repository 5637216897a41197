package console

import (
	"encoding/json"

	"github.com/mixpeek/webhooks-go/event"
)

// category is a group of event types.
type category struct {
	Name  string
	Types []typeView
}

type typeView struct {
	event.TypeInfo
	// Sample is an event of the type, as indented JSON.
	Sample string
}

func (c *Console) showCatalogue(q *request) error {
	var body struct{ Categories []category }
	for _, info := range c.cfg.Catalogue {
		text, err := sampleText(c.cfg.Catalogue, info.Type)
		if err != nil {
			return err
		}
		if n := len(body.Categories); n == 0 || body.Categories[n-1].Name != info.Category {
			body.Categories = append(body.Categories, category{Name: info.Category})
		}
		last := &body.Categories[len(body.Categories)-1]
		last.Types = append(last.Types, typeView{info, text})
	}
	return q.show("catalogue", page{Title: "Event types", Section: "events"}, &body)
}

// sampleText returns an event of the type as indented JSON.
func sampleText(catalogue event.Catalogue, eventType string) (string, error) {
	text, err := json.MarshalIndent(catalogue.Sample(eventType), "", "  ")
	return string(text), err
}
