package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/jsontext"
)

// candidate is something that may have been signed, or signed with, in place of what the receiver
// has.
type candidate struct {
	what, remedy string
	body, secret []byte
}

const remedyBytes = "Verify the bytes as they arrived, before anything decodes or changes them: " +
	"in Go r.Body, in Express express.raw(), in Flask request.get_data()."

// bodyCandidates are bodies of which a middleware, a proxy or an editor may have made this one.
func bodyCandidates(body []byte) []candidate {
	var all []candidate
	add := func(what string, b []byte) {
		if b != nil && !bytes.Equal(b, body) {
			all = append(all, candidate{what: what, remedy: remedyBytes, body: b})
		}
	}
	add("the body without the line break at its end", bytes.TrimRight(body, "\r\n"))
	add("the body with a line break at its end", append(bytes.Clone(body), '\n'))
	add("the body without the white space around it", bytes.TrimSpace(body))
	add("the body with line breaks LF instead of CRLF", bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))
	unix := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	add("the body with line breaks CRLF instead of LF", bytes.ReplaceAll(unix, []byte("\n"), []byte("\r\n")))
	add("the body without the byte order mark", bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(body))); err == nil {
		add("the body once it is decoded from base64, as gateways of functions encode it", plain)
	}
	var text string
	if json.Unmarshal(body, &text) == nil {
		add("the text in the JSON string that the body is", []byte(text))
	}
	add("the body as UTF-8: something read it as Latin-1", fromLatin1(body))
	add("the decompressed body", gunzip(body))
	return append(all, jsonCandidates(body)...)
}

// jsonCandidates are other encodings of the same JSON.
func jsonCandidates(body []byte) []candidate {
	if !json.Valid(body) {
		return nil
	}
	var orders []candidate
	orders = append(orders, candidate{what: "the body", body: body})
	if e, err := event.Decode(body); err == nil {
		if b, err := e.MarshalJSON(); err == nil {
			orders = append(orders, candidate{what: "the body as this library encodes the event", body: b})
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) == nil {
		if b, err := json.Marshal(value); err == nil {
			orders = append(orders, candidate{what: "the body with its fields sorted", body: b})
		}
	}
	var all []candidate
	for _, o := range orders {
		for _, spaced := range spacings(o.body) {
			for _, escaped := range escapings(spaced.body) {
				what := o.what + spaced.what + escaped.what
				if what == "the body" {
					continue
				}
				all = append(all,
					candidate{what: what, remedy: reencoded, body: escaped.body},
					candidate{what: what + ", and a line break at the end", remedy: reencoded,
						body: append(bytes.Clone(escaped.body), '\n')})
			}
		}
	}
	return all
}

const reencoded = "Something decoded the JSON and encoded it again. " + remedyBytes

// spacings are b with different white space, each with what is different.
func spacings(b []byte) []candidate {
	all := []candidate{{body: b}}
	var compact bytes.Buffer
	if json.Compact(&compact, b) != nil {
		return all
	}
	all = append(all, candidate{what: " without white space", body: compact.Bytes()},
		candidate{what: " with a blank after each colon and comma, as Python writes it",
			body: pythonSpacing(compact.Bytes())})
	for _, indent := range []int{2, 4} {
		out, err := jsontext.Indent(compact.Bytes(), strings.Repeat(" ", indent))
		if err == nil {
			all = append(all, candidate{what: fmt.Sprintf(" indented by %d", indent), body: out})
		}
	}
	return all
}

// pythonSpacing adds a blank after each colon and comma outside of strings.
func pythonSpacing(compact []byte) []byte {
	var out []byte
	inString := false
	for i := 0; i < len(compact); i++ {
		c := compact[i]
		out = append(out, c)
		switch {
		case inString && c == '\\':
			i++
			out = append(out, compact[i])
		case c == '"':
			inString = !inString
		case !inString && (c == ':' || c == ','):
			out = append(out, ' ')
		}
	}
	return out
}

// escapings are b with different escapes in its strings, each with what is different.
func escapings(b []byte) []candidate {
	all := []candidate{{body: b}}
	add := func(what string, escaped []byte) {
		if !bytes.Equal(escaped, b) {
			all = append(all, candidate{what: what, body: escaped})
		}
	}
	var html bytes.Buffer
	json.HTMLEscape(&html, b)
	add(`, with \u003c in place of <, as Go writes it`, html.Bytes())
	unescaped := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
	add(`, with < in place of \u003c`, []byte(unescaped))
	add(`, with \/ in place of /, as PHP writes it`, bytes.ReplaceAll(b, []byte("/"), []byte(`\/`)))
	add(`, with / in place of \/`, bytes.ReplaceAll(b, []byte(`\/`), []byte("/")))
	var ascii strings.Builder
	for _, r := range string(b) {
		switch {
		case r < utf8.RuneSelf:
			ascii.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	add(`, with \u… in place of all that is not ASCII, as Python writes it`, []byte(ascii.String()))
	return all
}

// fromLatin1 undoes reading UTF-8 as Latin-1. It returns nil if that is not what was done.
func fromLatin1(body []byte) []byte {
	out := make([]byte, 0, len(body))
	for _, r := range string(body) {
		if r > 0xff {
			return nil
		}
		out = append(out, byte(r))
	}
	if !utf8.Valid(out) {
		return nil
	}
	return out
}

// gunzip returns the decompressed body, up to the size of an input, or nil.
func gunzip(body []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(r, maxInput))
	if err != nil {
		return nil
	}
	return out
}

// secretCandidates are the keys that a sender may have made of the text of a secret.
func secretCandidates(text string) []candidate {
	const remedyText = "Have the sender decode the base64 after whsec_, as Standard Webhooks says, or make " +
		"the receiver's key with signature.RawKey from the same text."
	trimmed := strings.Trim(text, " \t\"'")
	bare := strings.TrimPrefix(trimmed, "whsec_")
	all := []candidate{
		{what: "the text of the secret, with whsec_", remedy: remedyText, secret: []byte(trimmed)},
		{what: "the text after whsec_, not decoded", remedy: remedyText, secret: []byte(bare)},
		{what: "the text of the secret and a line break", remedy: "Remove the line break at the end of the " +
			"sender's secret, and decode the base64 after whsec_.", secret: []byte(trimmed + "\n")},
		{what: "the text after whsec_ and a line break", remedy: "Remove the line break at the end of the " +
			"sender's secret, and decode the base64 after whsec_.", secret: []byte(bare + "\n")},
	}
	decoded := func(what string, b []byte, err error) {
		if err == nil {
			all = append(all, candidate{what: what, secret: b, remedy: "Give the receiver the secret as " +
				"whsec_ and base64 with padding of the same bytes."})
		}
	}
	b, err := base64.StdEncoding.DecodeString(bare)
	if err == nil && bare == trimmed {
		decoded("what the secret is decoded from base64", b, nil)
	}
	if err == nil {
		twice, err := base64.StdEncoding.DecodeString(string(b))
		decoded("the secret decoded from base64 twice", twice, err)
	}
	b, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(bare, "="))
	decoded("the secret decoded from base64url", b, err)
	b, err = base64.RawStdEncoding.DecodeString(bare)
	decoded("the secret decoded from base64 without padding", b, err)
	b, err = hex.DecodeString(bare)
	decoded("the secret decoded from hexadecimal digits", b, err)
	return all
}
