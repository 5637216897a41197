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
	"github.com/mixpeek/webhooks-go/event/tracecontext"
)

// Check makes the checks of [Receiver.Handler] and decodes the event, without claiming it.
// It checks in this order: method, HTTPS, content type and encoding, static secret, age of
// the signature, size of the body, signature, event.
//
// The error is a [*Rejection]. If it is nil, the body can be read again from r.Body.
//
// Unlike Handler, Check sets no read deadline for the body, and does not answer a request
// that is refused, drain its body, or close its connection.
func (rc *Receiver) Check(r *http.Request) (*Delivery, error) {
	d := new(Delivery)
	if rejection := rc.check(nil, r, d); rejection != nil {
		return nil, rejection
	}
	return d, nil
}

// check does what Check does, and sets the fields of d. w may be nil.
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

// checkBody reads the body and checks its signature, if one is required. It returns the
// index of the key that has signed, or -1.
func (rc *Receiver) checkBody(
	w http.ResponseWriter, r *http.Request, d *Delivery, now time.Time, signed bool,
) (key int, _ *Rejection) {
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

// checkEvent decodes an authentic body, and makes it readable again.
func (rc *Receiver) checkEvent(
	r *http.Request, d *Delivery, compressed bool,
) (rejection *Rejection) {
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
	d.Trace = tracecontext.FromHeader(r.Header)
	d.reader.Reset(d.Body)
	r.Body, r.ContentLength, r.TransferEncoding = &d.reader, int64(len(d.Body)), nil
	return nil
}

// checkForm checks everything except credentials and body.
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
	case (encoding == "gzip" || encoding == "x-gzip") && rc.cfg.MaxDecoded > 0:
		// RFC 9110, section 8.4.1.3, has both names.
		return true, nil
	default:
		return false, &Rejection{Status: http.StatusUnsupportedMediaType, Err: ErrContentEncoding}
	}
}

// accepts reports whether a body of this content type can be decoded. JSON is UTF-8, and
// parameters of a JSON type have no meaning, including charset (RFC 8259, section 11), so
// they are ignored. Other types from Config.ContentTypes must not have another charset.
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

// isJSON reports whether a media type in lower case is JSON (RFC 6839, section 3.1).
func isJSON(media string) bool {
	if media == "application/json" {
		return true
	}
	kind, subtype, found := strings.Cut(media, "/")
	return found && isMediaToken(kind) && isMediaToken(subtype) &&
		strings.HasSuffix(subtype, "+json")
}

func isMediaToken(s string) bool {
	head, rest := token(s)
	return head != "" && rest == ""
}

// isUTF8 reports whether the parameters of a media type name no charset other than UTF-8
// and US-ASCII.
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

// asks returns which credentials the request must have.
func (rc *Receiver) asks(h http.Header) (secret, signature bool) {
	if rc.cfg.AnyOf {
		// All that is offered must be right: a wrong signature next to a right secret is
		// refused.
		return rc.secrets.offered(h), signatureOffered(h)
	}
	return rc.secrets != nil, rc.cfg.Signature != nil
}

// signatureOffered reports whether the request has any header of a signature, so that it
// does not count as unsigned when one of them is removed.
func signatureOffered(h http.Header) bool {
	return len(h[signature.HeaderID]) > 0 || len(h[signature.HeaderTimestamp]) > 0 ||
		len(h[signature.HeaderSignature]) > 0
}

// decode sets the event of d, the key of its claim, and Keep.
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

// decodeTyped is the default of [Config.Decode].
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
