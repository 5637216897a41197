package receiver

import (
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/event/signature"
)

// Check verifies a request and decodes its event, without claiming it: method,
// HTTPS, content type and encoding, static secret, age of the signature, then
// the body up to its limit, signature, event. A request that fails early has no
// byte of its body read, and what is not authentic is not decoded.
//
// The error is a [*Rejection]. If there is none, r.Body gives the body again.
//
// Check leaves to the caller what [Receiver.Handler] does about slow senders and
// large bodies: a read deadline for the body, and answering, draining and closing
// the connection of a request that is refused.
func (rc *Receiver) Check(r *http.Request) (*Delivery, error) {
	d := new(Delivery)
	if rejection := rc.check(nil, r, d); rejection != nil {
		return nil, rejection
	}
	return d, nil
}

// check does the work of Check and fills in d. w may be nil.
func (rc *Receiver) check(w http.ResponseWriter, r *http.Request, d *Delivery) *Rejection {
	compressed, rejection := rc.checkForm(r)
	if rejection != nil {
		return rejection
	}
	now := time.Now()
	bySecret, signed := rc.asks(r.Header)
	if !bySecret && !signed {
		return unauthorized(ErrNoCredentials)
	}
	secret := -1
	if bySecret {
		var err error
		if secret, err = rc.secrets.check(r.Header, now); err != nil {
			return unauthorized(err)
		}
	}
	key, rejection := rc.checkBody(w, r, d, now, signed)
	if rejection == nil {
		d.Claim.Sender = senderOf(secret, key)
		rejection = rc.checkEvent(r, d, compressed)
	}
	if rejection != nil {
		rejection.known = bySecret
	}
	return rejection
}

// checkBody reads the body and checks its signature, if one is asked for. It
// returns the index of the key that has signed, or -1.
func (rc *Receiver) checkBody(w http.ResponseWriter, r *http.Request, d *Delivery, now time.Time, signed bool) (key int, _ *Rejection) {
	var pending *signature.Pending
	if signed {
		var err error
		if pending, err = rc.cfg.Signature.Header(r.Header, now); err != nil {
			return -1, unauthorized(err)
		}
	}
	var rejection *Rejection
	if d.Body, rejection = rc.readBody(w, r, now); rejection != nil {
		return -1, rejection
	}
	if pending == nil {
		return -1, nil
	}
	var err error
	if d.Signed, err = pending.Verify(d.Body); err != nil {
		return -1, unauthorized(err)
	}
	return d.Signed.Key, nil
}

// checkEvent makes an event of an authentic body, and gives the request its body
// back.
func (rc *Receiver) checkEvent(r *http.Request, d *Delivery, compressed bool) (rejection *Rejection) {
	if compressed {
		if d.Body, rejection = rc.unpack(d.Body); rejection != nil {
			return rejection
		}
		r.Header = r.Header.Clone()
		r.Header.Del("Content-Encoding")
	}
	if rejection := rc.decode(r.Header, d); rejection != nil {
		return rejection
	}
	d.reader.Reset(d.Body)
	r.Body, r.ContentLength, r.TransferEncoding = &d.reader, int64(len(d.Body)), nil
	return nil
}

// checkForm looks at everything about the request but its credentials and its
// body.
func (rc *Receiver) checkForm(r *http.Request) (compressed bool, _ *Rejection) {
	if r.Method != http.MethodPost {
		return false, &Rejection{Status: http.StatusMethodNotAllowed, Err: ErrMethod}
	}
	if !rc.cfg.AllowHTTP && !secure(r, rc.cfg.TrustedProxies) {
		return false, &Rejection{Status: http.StatusBadRequest, Err: ErrInsecure}
	}
	if !rc.accepts(r.Header["Content-Type"]) {
		return false, &Rejection{Status: http.StatusUnsupportedMediaType, Err: ErrContentType}
	}
	switch encoding := strings.ToLower(strings.Join(r.Header["Content-Encoding"], ",")); {
	case encoding == "", encoding == "identity":
		return false, nil
	case (encoding == "gzip" || encoding == "x-gzip") && rc.cfg.MaxDecoded > 0: // RFC 9110, section 8.4.1.3
		return true, nil
	default:
		return false, &Rejection{Status: http.StatusUnsupportedMediaType, Err: ErrContentEncoding}
	}
}

// accepts reports whether the content type is one that can be decoded. JSON is
// UTF-8 and has no parameters that mean anything, charset included (RFC 8259,
// section 11), so they are not looked at; the body is checked when it is decoded.
// What Config.ContentTypes adds may come in other charsets, and must not.
func (rc *Receiver) accepts(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	media, parameters, _ := strings.Cut(contentType[0], ";")
	media = strings.ToLower(strings.Trim(media, " \t"))
	if rc.cfg.ContentTypes != nil && !slices.Contains(rc.cfg.ContentTypes, media) {
		return false
	}
	return isJSON(media) || rc.cfg.ContentTypes != nil && isUTF8(media, parameters)
}

// isJSON reports whether a media type in lower case is JSON: RFC 6839, section 3.1.
func isJSON(media string) bool {
	if media == "application/json" {
		return true
	}
	kind, subtype, found := strings.Cut(media, "/")
	return found && isMediaToken(kind) && isMediaToken(subtype) && strings.HasSuffix(subtype, "+json")
}

func isMediaToken(s string) bool {
	head, rest := token(s)
	return head != "" && rest == ""
}

// isUTF8 reports whether the parameters of a media type name no charset other
// than UTF-8 or the part of it that is ASCII.
func isUTF8(media, parameters string) bool {
	_, params, err := mime.ParseMediaType(media + ";" + parameters)
	if err != nil {
		return false
	}
	charset, found := params["charset"]
	switch strings.ToLower(charset) {
	case "utf-8", "utf8", "us-ascii":
		return true
	}
	return !found
}

// asks says which credentials the request has to have.
func (rc *Receiver) asks(h http.Header) (secret, signature bool) {
	if rc.cfg.AnyOf {
		// What is offered counts in full. Otherwise a request could pass with
		// a signature that is wrong, which no sender ever means to send.
		return rc.secrets.offered(h), signatureOffered(h)
	}
	return rc.secrets != nil, rc.cfg.Signature != nil
}

// signatureOffered reports whether any header of a signature is there, so that
// stripping one of them does not make a request count as unsigned.
func signatureOffered(h http.Header) bool {
	return len(h[signature.HeaderID]) > 0 || len(h[signature.HeaderTimestamp]) > 0 || len(h[signature.HeaderSignature]) > 0
}

// decode fills in the event and the key.
func (rc *Receiver) decode(h http.Header, d *Delivery) *Rejection {
	e, err := rc.cfg.Decode(h, d.Body)
	if err != nil {
		return malformed(err)
	}
	if e == nil {
		return malformed(errors.New("Config.Decode returned no event"))
	}
	if e.ID != "" && d.Signed.ID != "" && e.ID != d.Signed.ID && !rc.cfg.AllowIDMismatch {
		return &Rejection{Status: http.StatusBadRequest, Err: ErrIDMismatch}
	}
	d.Event = e
	d.Claim.Key, d.Keep = dedupeKey(rc.cfg.Consumer, d), rc.cfg.Keep
	return nil
}

// decodeTyped is what [Config.Decode] defaults to.
func decodeTyped(_ http.Header, body []byte) (*event.Event, error) {
	e, err := event.Decode(body)
	if err != nil {
		return nil, err
	}
	if e.Type == "" {
		return nil, errNoType
	}
	return e, nil
}

var errNoType = errors.New("event_type is required")

func unauthorized(err error) *Rejection {
	return &Rejection{Status: http.StatusUnauthorized, Err: err}
}
