package channeltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// fieldsRule holds for a driver that lists its fields.
func fieldsRule() rule {
	return rule{
		name: "FieldsAreAllThereAre",
		why: "A management API refuses a field that the driver does not list, so a right configuration could not be made " +
			"through it.",
		check: fieldsListed,
	}
}

func fieldsListed(t testing.TB, h *Harness) error {
	fields := h.Driver.Schema().Fields
	if fields == nil {
		return nil
	}
	listed := map[string]bool{}
	for _, f := range fields {
		if f.Name == "" {
			return errors.New("a field has no name")
		}
		if listed[f.Name] {
			return fmt.Errorf("the field %q is listed twice", f.Name)
		}
		listed[f.Name] = true
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(h.accepting(t), &config); err != nil {
		return fmt.Errorf("a configuration with fields is an object: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if !listed[name] {
			return fmt.Errorf("the field %q of a right configuration is not listed", name)
		}
	}
	return nil
}
