package main

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
)

const remedyBlanks = "Remove them, in the file or the setting that the receiver reads."

// refused returns a verdict with status 401.
func refused(reason, cause, remedy string) *verdict {
	return &verdict{Status: http.StatusUnauthorized, Reason: reason, Cause: cause, Remedy: remedy}
}

// diagnose returns the most likely cause of a rejection.
func (x *examination) diagnose(rejection *receiver.Rejection) *verdict {
	is := func(target error) bool { return errors.Is(rejection, target) }
	switch {
	case is(receiver.ErrMethod):
		return refused("method", "The method is "+x.method+", and receivers accept POST only.",
			"If a redirect made it a GET, as 301 and 302 do, give the sender the final URL.")
	case is(receiver.ErrContentType):
		return refused("content_type", fmt.Sprintf("The Content-Type is %q instead of one of JSON.",
			strings.Join(x.header["Content-Type"], ", ")),
			"Have the sender, or what forwards the request, send application/json, or name the type in "+
				"Config.ContentTypes of the receiver.")
	case is(receiver.ErrContentEncoding):
		return refused("content_encoding", fmt.Sprintf("The body has Content-Encoding %q.",
			x.header.Get("Content-Encoding")),
			"Set Config.MaxDecoded of the receiver for gzip, or switch compression off at the sender or "+
				"proxy. The signature covers the compressed bytes.")
	case is(receiver.ErrSecretMissing), is(receiver.ErrSecretRepeated), is(receiver.ErrSecretMismatch):
		return x.diagnoseStatic(rejection)
	case is(signature.ErrMissingHeader):
		return x.diagnoseMissing()
	case is(signature.ErrMalformedHeader):
		return x.diagnoseMalformed(rejection)
	case is(signature.ErrNoMatch):
		return x.diagnoseMismatch()
	case is(receiver.ErrIDMismatch):
		return refused("id_mismatch", "The signature is right, but the event_id of the body is not the "+
			"signed webhook-id "+x.header.Get(signature.HeaderID)+".",
			"Have the sender sign the event_id, or set Config.AllowIDMismatch of the receiver.")
	case is(receiver.ErrMalformed):
		return refused("not_an_event", "The credentials are right, but the body is not an event: "+
			strings.TrimPrefix(rejection.Error(), "receiver: malformed event: ")+".",
			"Have the sender send the envelope, or set Config.Decode of the receiver. --any-body skips "+
				"this check.")
	}
	return refused("refused", rejection.Error()+".", "Look up the error in package receiver.")
}

// parseSecrets sets the keys. If a secret is none, that is the cause.
func (x *examination) parseSecrets() *verdict {
	for i, secret := range x.secrets {
		key, err := signature.ParseKey(secret)
		if err == nil {
			x.keys = append(x.keys, key)
			continue
		}
		rule := strings.TrimPrefix(err.Error(), signature.ErrInvalidKey.Error()+": ")
		cause := fmt.Sprintf("Signing secret %d is not one: it %s.", i+1, rule)
		if _, err := signature.ParseKey(strings.Trim(secret, " \t\"'")); err == nil {
			return refused("secret_format", fmt.Sprintf("Signing secret %d has blanks or quotes around it.",
				i+1), remedyBlanks)
		}
		for _, c := range secretCandidates(secret) {
			if x.signedWith(c.secret, x.capture.body) {
				return refused("secret_encoding", cause+" The sender signs with "+c.what+".", c.remedy)
			}
		}
		return refused("secret_format", cause, "Copy the secret again, whole, as the sender shows it. If "+
			"the sender's secrets have another form, make the key with signature.RawKey.")
	}
	return nil
}

func (x *examination) diagnoseStatic(err error) *verdict {
	name := x.staticHeader
	values := x.header[name]
	switch {
	case errors.Is(err, receiver.ErrSecretMissing):
		return x.withDropped(refused("static_secret_missing", "The request has no header "+name+".",
			"Set the header in the webhook's configuration, and have every proxy pass it on."), name)
	case errors.Is(err, receiver.ErrSecretRepeated):
		return refused("static_secret_repeated", fmt.Sprintf("The header %s is there %d times.", name,
			len(values)), "Find what adds it, such as a proxy, and have it set the header instead.")
	}
	sent := values[0]
	trimmed := strings.Trim(x.static, " \t\r\n\"'")
	switch bare := strings.TrimPrefix(sent, "Bearer "); {
	case trimmed != x.static && sent == trimmed:
		return refused("static_secret_format", "The receiver's secret has blanks or quotes around it.",
			remedyBlanks)
	case bare == x.static, strings.Trim(sent, "\"'") == x.static:
		return refused("static_secret_format", "The request has the right secret with \"Bearer\" or "+
			"quotes around it.", "Send the secret alone.")
	case strings.EqualFold(sent, x.static):
		return refused("static_secret_mismatch", "The secrets differ in upper and lower case only.",
			"Copy the secret again.")
	}
	return refused("static_secret_mismatch", fmt.Sprintf("The secret in %s is another one: it has %d "+
		"characters, and the receiver's has %d.", name, len(sent), len(x.static)),
		"Give both sides the same secret. During a rotation, let the receiver accept both.")
}

var signatureHeaders = []string{signature.HeaderID, signature.HeaderTimestamp,
	signature.HeaderSignature}

func (x *examination) diagnoseMissing() *verdict {
	var missing []string
	for _, name := range signatureHeaders {
		if x.header.Get(name) == "" {
			missing = append(missing, name)
		}
	}
	list := strings.Join(missing, ", ")
	if len(missing) < len(signatureHeaders) {
		return x.withDropped(refused("missing_header", "The request has no "+list+", or an empty one.",
			"Something between sender and receiver removes it: have proxies and middleware pass all "+
				"three headers on."), missing...)
	}
	for _, prefix := range []string{"Svix-", "X-Webhook-", "X-Hub-", "Stripe-"} {
		for name := range x.header {
			if strings.HasPrefix(name, prefix) {
				return refused("other_scheme", "The request has no "+list+", but "+name+
					": it is signed in another scheme.",
					"Have the sender sign by Standard Webhooks. Svix sends the same values as svix-id, "+
						"svix-timestamp and svix-signature: rename them before the check.")
			}
		}
	}
	return x.withDropped(refused("unsigned", "The request is not signed: it has no "+list+".",
		"Give the webhook a signing_secret (\"webhooks secret rotate\" makes the first one too), or "+
			"check whether a proxy drops the headers."), missing...)
}

// withDropped adds headers that look like the missing ones.
func (x *examination) withDropped(v *verdict, missing ...string) *verdict {
	for _, name := range missing {
		for _, other := range x.underscores {
			if strings.EqualFold(strings.ReplaceAll(other, "_", "-"), name) {
				v.Reason = "header_name"
				v.Cause += " It has " + other + ", with underscores."
				v.Remedy = "Write the name with hyphens: names with underscores are other headers, and many " +
					"proxies drop them."
			}
		}
	}
	return v
}

var (
	milliseconds = regexp.MustCompile(`^[1-9]\d{12}$`)
	hexSignature = regexp.MustCompile(`(^|[,= ])[0-9a-fA-F]{64}($|[ ,])`)
)

func (x *examination) diagnoseMalformed(err error) *verdict {
	for _, name := range []string{signature.HeaderID, signature.HeaderTimestamp} {
		if values := x.header[name]; len(values) > 1 {
			return refused("repeated_header", fmt.Sprintf("%s is there %d times.", name, len(values)),
				"Find what adds it, such as a proxy that copies headers, and have it set the header instead.")
		}
	}
	at := x.header.Get(signature.HeaderTimestamp)
	switch {
	case slices.Contains(x.folded, signature.HeaderID),
		slices.Contains(x.folded, signature.HeaderTimestamp):
		return refused("folded_header", "A signed header goes on over several lines.",
			"Have the proxy pass headers on in one line: folding is obsolete (RFC 9112, section 5.2).")
	case milliseconds.MatchString(at):
		return refused("timestamp_format", "webhook-timestamp is in milliseconds.",
			"Have the sender write Unix seconds.")
	case strings.Contains(err.Error(), signature.HeaderTimestamp):
		return refused("timestamp_format", fmt.Sprintf("webhook-timestamp is %q instead of Unix seconds.",
			at), "Have the sender write Unix seconds, such as "+strconv.FormatInt(x.at.Unix(), 10)+".")
	case strings.Contains(err.Error(), signature.HeaderID):
		return refused("id_format", fmt.Sprintf("webhook-id %q cannot be signed: it must be 1 to 256 "+
			"visible ASCII characters without a dot.", x.header.Get(signature.HeaderID)),
			"Have the sender use ids such as evt_1.")
	case hexSignature.MatchString(x.header.Get(signature.HeaderSignature)):
		return refused("signature_format", "webhook-signature is in hexadecimal digits.",
			"Have the sender write \"v1,\" and the signature in base64.")
	}
	return refused("signature_format", "webhook-signature has no signature of the form version,base64, "+
		"such as v1,K5oZ….", "Have the sender write \"v1,\" before the base64.")
}

// clock returns a verdict if the timestamp is off.
func (x *examination) clock(signed time.Time) *verdict {
	age := x.at.Sub(signed)
	switch {
	case age > x.tolerance:
		return refused("too_old", fmt.Sprintf("The signature is right, but was made %s before the request "+
			"arrived, and %s are allowed.", short(age), short(x.tolerance)),
			"If the request arrived earlier than now, say when with --at. Otherwise the receiver's clock "+
				"is fast or the sender's is slow: synchronize both (NTP). Or something held or replayed the "+
				"request: each attempt needs a signature of its own.")
	case age < -x.tolerance:
		return refused("too_new", fmt.Sprintf("The signature is right, but was made %s after the request "+
			"arrived, and %s are allowed.", short(-age), short(x.tolerance)),
			"The receiver's clock is slow or the sender's is fast: synchronize both (NTP), and check "+
				"--at, if you gave it.")
	}
	return nil
}
