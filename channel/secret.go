package channel

import (
	"fmt"
	"log/slog"
)

// A Secret is a string of a configuration that is not shown: fmt, whatever the
// verb, and slog print a placeholder for it. Its JSON is the string itself,
// because the JSON of a configuration is what is stored.
type Secret string

const redacted = "[redacted]"

// Format prints a placeholder, and nothing for an empty Secret.
func (s Secret) Format(f fmt.State, _ rune) {
	if s != "" {
		_, _ = f.Write([]byte(redacted))
	}
}

// LogValue is what Format prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }
