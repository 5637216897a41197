package channel

import (
	"fmt"
	"log/slog"
)

// A Secret is a string of a configuration that is never printed: package fmt, with any verb, and
// log/slog print a placeholder for it. Its JSON is the string itself, because a configuration is
// stored as its JSON.
type Secret string

const redacted = "[redacted]"

// Format prints a placeholder, or nothing if the Secret is empty.
func (s Secret) Format(f fmt.State, _ rune) {
	if s != "" {
		_, _ = f.Write([]byte(redacted))
	}
}

// LogValue returns what Format prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }
