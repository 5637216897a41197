package template

import (
	"crypto/md5"  //nolint:gosec // for checksums that others have made, as in Ansible and Home Assistant
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	base16 "encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mixpeek/webhooks-go/template/internal/fault"
)

// jsonFilters have the names of Ansible and Home Assistant (from_json, to_json), Ansible
// (to_nice_json), and Grafana OnCall (parse_json, json_dumps, tojson_pretty).
func jsonFilters() []filter {
	plain := jsonStyle{comma: ", ", colon: ": ", nan: true}
	nice := jsonStyle{comma: ", ", colon: ": ", nan: true, multiline: true, indent: "    ", sorted: true}
	return []filter{
		{name: "from_json", params: "default?", run: fromJSON},
		{name: "json_dumps", run: toJSON(plain)},
		{name: "parse_json", params: "default?", run: fromJSON},
		{name: "to_json", run: toJSON(plain)},
		{name: "to_nice_json", run: toJSON(nice)},
		{name: "tojson_pretty", run: toJSON(nice)},
	}
}

// toJSON writes JSON that is text like any other: where values are escaped, it is.
func toJSON(style jsonStyle) func(*state, any, params) (any, error) {
	return func(st *state, in any, _ params) (any, error) {
		b, err := st.appendJSON(nil, in, &style, 0)
		return string(b), err
	}
}

// jsonGrowth is about how many times its size JSON takes once it is decoded: [0,0,…] is lists and
// numbers.
const jsonGrowth = 24

// decoderSize is what a decoder takes before it has decoded anything.
const decoderSize = 2 << 10

func fromJSON(st *state, in any, p params) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	if err := st.alloc(decoderSize + jsonGrowth*len(s)); err != nil {
		return nil, err
	}
	v, ok := decodeJSON(s)
	if !ok {
		if p.has(0) {
			return p.values[0], nil
		}
		return nil, fault.Errorf(fault.ErrType, "%s needs a text that is JSON", p.owner)
	}
	return take(st, v, 0)
}

func decodeJSON(s string) (v any, ok bool) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	rest := s[d.InputOffset():]
	return v, strings.Trim(rest, " \t\r\n") == ""
}

// base64Filters have the names of Home Assistant and of Ansible.
func base64Filters() []filter {
	return []filter{
		{name: "b64decode", run: base64Decode},
		{name: "b64encode", run: base64Encode},
		{name: "base64_decode", run: base64Decode},
		{name: "base64_encode", run: base64Encode},
	}
}

func base64Encode(st *state, in any, _ params) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	if err := st.alloc(base64.StdEncoding.EncodedLen(len(s))); err != nil {
		return nil, err
	}
	return base64.StdEncoding.EncodeToString([]byte(s)), st.read(s)
}

// base64Decode takes the alphabets of RFC 4648 for text and for URLs, with and without padding.
func base64Decode(st *state, in any, p params) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	if err := st.alloc(decoderSize + 2*len(s)); err != nil {
		return nil, err
	}
	if err := st.read(s); err != nil {
		return nil, err
	}
	clean := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "").Replace(s), "=")
	b, err := base64.RawStdEncoding.DecodeString(clean)
	if err != nil || !utf8.Valid(b) {
		return nil, fault.Errorf(fault.ErrType, "%s needs text in base64", p.owner)
	}
	return string(b), nil
}

// hashFilters have the names of Home Assistant (md5, sha1, sha256, sha512) and Ansible (hash). The
// result is hexadecimal.
func hashFilters() []filter {
	filters := []filter{{name: "hash", params: "hashtype?", run: hashFilter}}
	for _, name := range []string{"md5", "sha1", "sha256", "sha512"} {
		sum := hashNamed(name)
		filters = append(filters, filter{name: name, run: func(st *state, in any, _ params) (any, error) { return hash(st, in, sum) }})
	}
	return filters
}

// hashNamed returns the hash of that name, nil if there is none.
func hashNamed(name string) func(b []byte) []byte {
	switch name {
	case "md5":
		return func(b []byte) []byte { h := md5.Sum(b); return h[:] } //nolint:gosec // see the import
	case "sha1":
		return func(b []byte) []byte { h := sha1.Sum(b); return h[:] } //nolint:gosec // see the import
	case "sha256":
		return func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }
	case "sha512":
		return func(b []byte) []byte { h := sha512.Sum512(b); return h[:] }
	}
	return nil
}

func hashFilter(st *state, in any, p params) (any, error) {
	name, err := p.str(0, "sha1")
	if err != nil {
		return nil, err
	}
	sum := hashNamed(name)
	if sum == nil {
		return nil, fault.Errorf(fault.ErrType, "hash knows md5, sha1, sha256 and sha512")
	}
	return hash(st, in, sum)
}

func hash(st *state, in any, sum func([]byte) []byte) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	if err := st.alloc(len(s)); err != nil {
		return nil, err
	}
	if err := st.read(s); err != nil {
		return nil, err
	}
	return base16.EncodeToString(sum([]byte(s))), st.spend(2)
}

// urlFilters are our own: Jinja2's urlencode leaves slashes as they are, and has nothing for the
// way back.
func urlFilters() []filter {
	return []filter{
		{name: "urlquote", run: urlQuote},
		{name: "urlunquote", run: urlUnquote},
	}
}

// urlQuote percent-encodes all that is not unreserved in RFC 3986: the result can be a part of a
// path or of a query.
func urlQuote(st *state, in any, _ params) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	if err := st.alloc(3 * len(s)); err != nil {
		return nil, err
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), st.read(s)
}

func urlUnquote(st *state, in any, p params) (any, error) {
	s, _, err := st.text(in)
	if err != nil {
		return nil, err
	}
	if err := st.alloc(len(s)); err != nil {
		return nil, err
	}
	out, err := url.PathUnescape(s)
	if err != nil || !utf8.ValidString(out) {
		return nil, fault.Errorf(fault.ErrType, "%s needs text in which %% stands before two digits", p.owner)
	}
	return out, st.read(s)
}
