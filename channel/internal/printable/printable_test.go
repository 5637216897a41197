package printable

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestExcerpt(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"", ""},
		{"ok", "ok"},
		{"a\r\nb\tc", "a\nb\tc"},
		{"\x1b[2Jx\x00y\x7f", "[2Jx y"},
		{"\xff\xfe", "\uFFFD"},
		{"ü\u202e", "ü"},
		{strings.Repeat("x", 10), strings.Repeat("x", 10)},
		{strings.Repeat("x", 11), strings.Repeat("x", 10) + "…"},
		{strings.Repeat("x", 9) + "ü", strings.Repeat("x", 9) + "…"},
		{strings.Repeat("x", 8) + "üü", strings.Repeat("x", 8) + "ü…"},
		{strings.Repeat("x", 7) + "😀", strings.Repeat("x", 7) + "…"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, Excerpt([]byte(tt.in), 10), "%q", tt.in)
	}
}
