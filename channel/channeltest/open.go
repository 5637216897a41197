package channeltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mixpeek/webhooks-go/event"
)

// openRules are the rules of Driver.Open.
func openRules(h *Harness) []rule {
	list := []rule{
		{
			name: "OpenIgnoresUnknownFields",
			why: "The published schema allows fields that it does not name, and a process must be able to open " +
				"a configuration that a newer one has stored.",
			check: openUnknownField,
		},
		{
			name:  "OpenCopiesTheConfig",
			why:   "The bytes of the configuration belong to the caller, who may use them again.",
			check: openCopies,
		},
		fieldsRule(),
	}
	if len(h.Bad) == 0 {
		return list
	}
	for _, junk := range []string{``, `null`, `[]`, `"text"`, `{`, `{"a":}`} {
		list = append(list, badRule(Bad{Name: fmt.Sprintf("Junk %s", junk), Config: junk}))
	}
	for _, bad := range h.Bad {
		list = append(list, badRule(bad))
	}
	return list
}

func badRule(bad Bad) rule {
	return rule{
		name: "OpenRefuses/" + bad.Name,
		why: "A configuration that cannot work is refused when it is configured, by an *event.ValidationError with every " +
			"reason at once and no secret in it: its author reads it then, and cannot when it is used.",
		check: func(_ testing.TB, h *Harness) error { return openBad(h, bad) },
	}
}

func openBad(h *Harness, bad Bad) error {
	c, err := h.Driver.Open(json.RawMessage(bad.Config))
	if err == nil {
		return errors.New("the driver took it")
	}
	if c != nil {
		return errors.New("the driver returned both a channel and an error")
	}
	var invalid *event.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("the driver returned a %T: %w", err, err)
	}
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
		if p.Rule == "" {
			return fmt.Errorf("the problem of %q has no text", p.Field)
		}
	}
	for _, want := range bad.Fields {
		if !slices.Contains(fields, want) {
			return fmt.Errorf("the error does not name %q, only %q: %w", want, fields, err)
		}
	}
	return h.secretIn("the error of Open", err)
}

func openUnknownField(t testing.TB, h *Harness) error {
	var fields map[string]json.RawMessage
	if _ = json.Unmarshal(h.accepting(t), &fields); fields == nil {
		return nil // not an object: nothing to add a field to
	}
	fields["x_not_known_here"] = json.RawMessage(`{"a":[1]}`)
	config, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	_, err = h.Driver.Open(config)
	return err
}

func openCopies(t testing.TB, h *Harness) error {
	config := slices.Clone(h.accepting(t))
	c, err := h.Driver.Open(config)
	if err != nil {
		return err
	}
	for i := range config {
		config[i] = '!'
	}
	_, err = c.Send(t.Context(), newMessage())
	return err
}
