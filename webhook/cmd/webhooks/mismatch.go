package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
)

// diagnoseMismatch searches for what was signed, and with what, in place of what the receiver has.
func (x *examination) diagnoseMismatch() *verdict {
	for _, search := range []func() *verdict{
		x.findNoVersion, x.findHeader, x.findBody, x.findSecret, x.findScheme,
	} {
		if v := search(); v != nil {
			return v
		}
	}
	const secretRemedy = "Compare the secrets of both sides, for instance by the checksum of each: " +
		"printf %s \"$secret\" | sha256sum. \"webhooks secret rotate\" makes a new one that both can have."
	e, err := event.Decode(x.body)
	if err == nil {
		if encoded, err := e.MarshalJSON(); err == nil && bytes.Equal(encoded, x.body) {
			return refused("wrong_secret", "No secret of the receiver made a signature of this request. The "+
				"body looks as this library sends it, so the secret is the wrong one.", secretRemedy)
		}
	}
	if len(x.body) == 0 {
		return refused("body_missing", "The body is empty.", "Something has read it before the check, such "+
			"as a parser of JSON: verify first, or keep the bytes.")
	}
	return refused("wrong_secret", "No secret of the receiver made a signature of this request, and the "+
		"signature fits none of the common changes of a body. Most likely the secret is the wrong one.",
		secretRemedy+" If they are the same, the body is not what was signed: verify the bytes as they "+
			"arrived.")
}

// findNoVersion checks whether any signature is of a version that a secret can verify.
func (x *examination) findNoVersion() *verdict {
	lines := strings.Join(x.header[signature.HeaderSignature], " ")
	hasVersion := func(version string) bool {
		return slices.Contains(strings.FieldsFunc(lines, func(r rune) bool {
			return r == ' ' || r == ',' || r == '\t'
		}), version)
	}
	pairs := 0
	for _, key := range x.keys {
		if _, ok := key.Public(); ok {
			pairs++
		}
	}
	switch {
	case pairs == 0 && !hasVersion("v1") && hasVersion("v1a"):
		return refused("other_kind_of_secret", "The request is signed with an Ed25519 key (v1a), and the "+
			"receiver has a shared secret.", "Give the receiver the sender's public key (whpk_).")
	case pairs == len(x.keys) && hasVersion("v1") && !hasVersion("v1a"):
		return refused("other_kind_of_secret", "The request is signed with a shared secret (v1), and the "+
			"receiver has a public key.", "Give the receiver the sender's secret (whsec_).")
	}
	return nil
}

// wholeSignature is a signature, of which the length is known.
var wholeSignature = regexp.MustCompile(`v1,[A-Za-z0-9+/]{43}=|v1a,[A-Za-z0-9+/]{86}==`)

// findHeader looks for a signature that a proxy has broken, and for another id or time.
func (x *examination) findHeader() *verdict {
	joined := strings.ReplaceAll(strings.Join(x.header[signature.HeaderSignature], ""), " ", "")
	h := x.header.Clone()
	h[signature.HeaderSignature] = wholeSignature.FindAllString(joined, -1)
	if x.verifies(h, x.body) {
		return refused("folded_header", "The signature is right once its lines are joined: something "+
			"folded the header, or put a blank into it.",
			"Have the proxy pass headers on in one line: folding is obsolete (RFC 9112, section 5.2).")
	}
	var envelope struct {
		ID string `json:"event_id"`
	}
	if json.Unmarshal(x.body, &envelope) == nil && envelope.ID != "" {
		h := x.header.Clone()
		h.Set(signature.HeaderID, envelope.ID)
		if x.verifies(h, x.body) {
			return refused("other_id", "The signature fits the event_id of the body, but webhook-id has "+
				"another value.", "Find what changes webhook-id: it is a part of what is signed.")
		}
	}
	return nil
}

// findBody looks for the body that was signed.
func (x *examination) findBody() *verdict {
	if x.announced > len(x.body) {
		return refused("body_truncated", "The body ends before its Content-Length.",
			"Read the body to its end, and raise the limit that cuts it.")
	}
	for _, c := range bodyCandidates(x.body) {
		if x.verifies(x.header, c.body) {
			return refused("body_changed", "The signature is right for "+c.what+".", c.remedy)
		}
	}
	return nil
}

// findSecret looks for another encoding of the secret, together with other bodies.
func (x *examination) findSecret() *verdict {
	bodies := []candidate{{body: x.body}}
	if len(x.body) <= 64<<10 { // beyond that, each body would take too long for each secret
		bodies = append(bodies, bodyCandidates(x.body)...)
	}
	for _, secret := range x.secrets {
		for _, s := range secretCandidates(secret) {
			for _, b := range bodies {
				if !x.signedWith(s.secret, b.body) {
					continue
				}
				v := refused("secret_encoding", "The sender signs with "+s.what+".", s.remedy)
				if b.what != "" {
					v.Cause += " And the signature is right for " + b.what + "."
					v.Remedy += " " + b.remedy
				}
				return v
			}
		}
	}
	return nil
}

// findScheme looks for signatures of less than id, time and body, and for other encodings of them.
func (x *examination) findScheme() *verdict {
	id, at := x.header.Get(signature.HeaderID), x.header.Get(signature.HeaderTimestamp)
	for _, key := range x.keys {
		secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key.Reveal(), "whsec_"))
		if err != nil {
			continue
		}
		for _, scheme := range []struct{ signed, what string }{
			{id + "." + at + ".", "id, time and body"}, {at + ".", "time and body"}, {"", "the body alone"},
		} {
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(scheme.signed))
			mac.Write(x.body)
			if encoding := x.encodingOf(mac.Sum(nil)); encoding != "" {
				return refused("other_scheme", "The sender signs "+scheme.what+", and writes the signature in "+
					encoding+".", "Have the sender sign id.timestamp.body, and write \"v1,\" and base64 with "+
					"padding.")
			}
		}
	}
	return nil
}

// encodingOf returns how the signature header has the signature, or "" if it does not have it.
func (x *examination) encodingOf(sum []byte) string {
	for _, e := range []struct{ text, name string }{
		{hex.EncodeToString(sum), "hexadecimal digits"},
		{base64.StdEncoding.EncodeToString(sum), "base64"},
		{base64.URLEncoding.EncodeToString(sum), "base64url"},
		{base64.RawStdEncoding.EncodeToString(sum), "base64 without padding"},
		{base64.RawURLEncoding.EncodeToString(sum), "base64url without padding"},
	} {
		if slices.Contains(x.signatures(), e.text) {
			return e.name
		}
	}
	return ""
}

// verifies reports whether a secret of the receiver has signed the headers with the body.
func (x *examination) verifies(h http.Header, body []byte) bool {
	v, err := x.verifier(forEver)
	if err != nil {
		return false
	}
	_, err = v.Verify(h, time.Now(), body)
	return err == nil
}

// signedWith reports whether the request has an HMAC with these bytes as its key.
func (x *examination) signedWith(secret, body []byte) bool {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(x.header.Get(signature.HeaderID) + "." + x.header.Get(signature.HeaderTimestamp) + "."))
	mac.Write(body)
	return slices.Contains(x.signatures(), base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// signatures are the parts of the signature header without versions.
func (x *examination) signatures() []string {
	return strings.FieldsFunc(strings.Join(x.header[signature.HeaderSignature], " "),
		func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
}
