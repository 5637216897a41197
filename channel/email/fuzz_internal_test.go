package email

import (
	"mime"
	"net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/channel/internal/printable"
)

// What is taken for an address can be sent: it is one argument of a command and
// one address of a header, and it says what it said.
func FuzzMailbox(f *testing.F) {
	for _, s := range []string{
		"a@example.com", "Name <a@example.com>", `"a,b"@example.com`, `"a\"\\b"@example.com`,
		"jörg@bücher.example", "a@b@c",
		"=?utf-8?q?x?= <a@b.c>", "\"=?utf-8?b?eA==?=\" <a@b.c>", "a@[127.0.0.1]",
		"a@b.c\r\nRCPT TO:<x@y.z>", "<a@b.c> SIZE=1", "\u202ea@b.c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMailbox(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(m.address, " <>\r\n\t\x00") || !utf8.ValidString(m.address) ||
			!isASCII(m.domain()) {
			t.Fatalf("%q gives the address %q", s, m.address)
		}
		again, err := parseMailbox(m.address)
		if err != nil || again.address != m.address {
			t.Fatalf("%q gives %q, which gives %q, %v", s, m.address, again.address, err)
		}
		field := addressField("To", []mailbox{m, {address: "last@example.com"}})
		msg, err := mail.ReadMessage(strings.NewReader(field + "\r\n"))
		if err != nil || len(msg.Header) != 1 {
			t.Fatalf("%q gives the field %q: %v", s, field, err)
		}
		list, err := msg.Header.AddressList("To")
		if err != nil || len(list) != 2 || list[0].Name != m.name ||
			list[1].Address != "last@example.com" {
			t.Fatalf("%q gives the field %q, which is %v: %v", s, field, list, err)
		}
		if got, err := parseMailbox(list[0].String()); err != nil || got.address != m.address {
			t.Fatalf("%q gives the field %q, which has %v: %v", s, field, got, err)
		}
	})
}

// Whatever an event holds becomes one field of a header, in short lines of
// ASCII, and is what a reader shows.
func FuzzTextField(f *testing.F) {
	for _, s := range []string{
		"plain", "=?utf-8?b?eA==?=", "a\r\nBcc: x@y.z", "ü", "👨\u200d👩", "\xff", "a  b",
		strings.Repeat("x", 300), strings.Repeat("ü ", 120), "?=", "=?",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := printable.Line(s, maxSubject)
		if strings.ContainsAny(line, "\r\n\x00") || !utf8.ValidString(line) || len(line) > maxSubject+3 ||
			printable.Line(line, maxSubject) != line && len(line) <= maxSubject {
			t.Fatalf("%q gives the line %q", s, line)
		}
		field := textField("Subject", line)
		if line == "" {
			return
		}
		if !isASCII(field) {
			t.Fatalf("%q gives the field %q", s, field)
		}
		for _, l := range strings.Split(strings.TrimSuffix(field, "\r\n"), "\r\n") {
			if len(l) > maxHeaderLine && strings.Contains(strings.TrimPrefix(l, "Subject: "), "=?") ||
				strings.TrimSpace(l) == "" {
				t.Fatalf("%q gives the line %q", s, l)
			}
		}
		msg, err := mail.ReadMessage(strings.NewReader(field + "\r\n"))
		if err != nil || len(msg.Header) != 1 {
			t.Fatalf("%q gives the field %q: %v", s, field, err)
		}
		shown, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
		if err != nil || shown != line {
			t.Fatalf("%q gives the field %q, shown as %q and not %q: %v", s, field, shown, line, err)
		}
	})
}

// What is taken as a name for EHLO is one argument that servers take.
func FuzzHello(f *testing.F) {
	for _, s := range []string{"a.example", "[192.0.2.7]", "[IPv6:::1]", "[IPv6:fe80::1%eth0]",
		"bücher.example", "a.example\r\nMAIL", "[x]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := checkHello(s)
		if !ok {
			return
		}
		if !isASCII(name) || strings.ContainsFunc(name,
			func(r rune) bool { return r <= ' ' || r == 0x7f }) || len(name) > 253 {
			t.Fatalf("%q gives %q", s, name)
		}
		if again, ok := checkHello(name); !ok || again != name {
			t.Fatalf("%q gives %q, which gives %q", s, name, again)
		}
	})
}

func TestAddressLiteral(t *testing.T) {
	t.Parallel()
	for local, want := range map[string]string{
		"192.0.2.7:4711":           "[192.0.2.7]",
		"[2001:db8::7]:4711":       "[IPv6:2001:db8::7]",
		"[::ffff:192.0.2.7]:4711":  "[192.0.2.7]",
		"[fe80::1%eth0]:4711":      "[IPv6:fe80::1]",
		"pipe":                     "[127.0.0.1]",
		"[2001:db8:0:1:1:1:1:1]:1": "[IPv6:2001:db8:0:1:1:1:1:1]",
	} {
		got := addressLiteral(local)
		if got != want {
			t.Errorf("%s gives %s, not %s", local, got, want)
		}
		if _, ok := checkHello(got); !ok {
			t.Errorf("%s is refused", got)
		}
	}
}
