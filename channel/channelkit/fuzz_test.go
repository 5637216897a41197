package channelkit_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
)

// FuzzExcerpt puts a secret into an answer. What is shown of it has no secret, is short, and cannot
// command a terminal.
func FuzzExcerpt(f *testing.F) {
	f.Add("s3cr3t", []byte("before "), []byte(" after"))
	f.Add("Bearer abcdefgh", []byte(`{"a":"`), []byte("\"\x1b[2J"))
	f.Add("a\x00bcd", []byte("s3c"), []byte("\xff"))
	f.Add("aaaa", []byte("aaa"), []byte("aa"))
	f.Add("<ü>/&\"'", []byte(strings.Repeat("x", 1020)), []byte{})
	f.Fuzz(func(t *testing.T, secret string, before, after []byte) {
		const mark = "[redacted]"
		if len(secret) < 4 || len(secret) > 200 || strings.ContainsAny(secret, "[]") ||
			strings.Contains(mark, secret) {
			return
		}
		r := channelkit.NewRedactor([]string{secret})
		body := string(before) + secret + string(after)
		shown := r.Excerpt([]byte(body), false)
		if len(shown) > 1100 || strings.ContainsRune(shown, '\x1b') || !utf8.ValidString(shown) {
			t.Errorf("%q is shown as %q", body, shown)
		}
		if strings.Contains(shown, secret) {
			t.Errorf("%q is shown as %q", body, shown)
		}
	})
}
