package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

// FuzzVerify has "webhooks verify" read any request. It says something, as text that cannot command a
// terminal, and as JSON, and never that a request is good whose signature is not.
func FuzzVerify(f *testing.F) {
	good := "POST / HTTP/1.1\r\nContent-Type: application/json\r\nWebhook-Id: evt_1\r\n" +
		"Webhook-Timestamp: 1767225600\r\nWebhook-Signature: v1,"
	for _, seed := range []string{
		"", "\n\n", testBody, good + "AAAA\r\n\r\n" + testBody, good + "\r\n x\r\n\r\n{}",
		good + strings.Repeat("A", 43) + "= v1a,x\n\n\"\\u003c\"", "A: b\nTransfer-Encoding: chunked\n\n5\r\nab",
		"GET x HTTP/1.1\nContent-Length: 99999999999999999999\n\n\x1f\x8b\x08", "a_b: \x1b[2J\n\n[1, 2.50]",
		good + "AAAA\r\n\r\n\xef\xbb\xbf{\"event_id\":\"\x1b\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseCapture(raw)
		if err != nil {
			if s := visible(err.Error()); strings.ContainsAny(s, "\x1b\x00\r") {
				t.Errorf("%q", s)
			}
			return
		}
		x := &examination{capture: c, secrets: []string{testSecret}, at: time.Unix(1767225600, 0),
			tolerance: time.Minute}
		v, err := x.verdict()
		if err != nil {
			t.Fatal(err)
		}
		if v.Accepted || v.Status < 400 || v.Reason == "" || v.Cause == "" || v.Remedy == "" {
			t.Errorf("%q: %+v", raw, v)
		}
		var out strings.Builder
		a := &app{printer: newPrinter(&out, io.Discard, func(string) string { return "" })}
		a.printVerdict(v)
		if err := a.flush(); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(out.String(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
			t.Errorf("%q is printed as %q", raw, out.String())
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	})
}
