package builtin

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
	"github.com/mixpeek/webhooks-go/template/internal/python"
)

// jsonFilters have the names of Ansible and Home Assistant (from_json, to_json), Ansible
// (to_nice_json), and Grafana OnCall (parse_json, json_dumps, tojson_pretty).
func jsonFilters() []python.Filter {
	plain := python.JSONStyle{Comma: ", ", Colon: ": ", NaN: true}
	nice := python.JSONStyle{Comma: ", ", Colon: ": ", NaN: true, Multiline: true, Indent: "    ",
		Sorted: true}
	return []python.Filter{
		{Name: "from_json", Params: "default?", Run: fromJSON},
		{Name: "json_dumps", Run: toJSON(plain)},
		{Name: "parse_json", Params: "default?", Run: fromJSON},
		{Name: "to_json", Run: toJSON(plain)},
		{Name: "to_nice_json", Run: toJSON(nice)},
		{Name: "tojson_pretty", Run: toJSON(nice)},
	}
}

// toJSON writes JSON that is text like any other: where values are escaped, it is.
func toJSON(style python.JSONStyle) func(*python.State, any, python.Params) (any, error) {
	return func(st *python.State, in any, _ python.Params) (any, error) {
		b, err := st.AppendJSON(nil, in, &style, 0)
		return string(b), err
	}
}

// jsonGrowth is about how many times its size JSON takes once it is decoded: [0,0,…] is lists and
// numbers.
const jsonGrowth = 24

// decoderSize is what a decoder takes before it has decoded anything.
const decoderSize = 2 << 10

func fromJSON(st *python.State, in any, p python.Params) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if err := st.Alloc(decoderSize + jsonGrowth*len(s)); err != nil {
		return nil, err
	}
	v, ok := decodeJSON(s)
	if !ok {
		if p.Has(0) {
			return p.Values[0], nil
		}
		return nil, fault.Errorf(fault.ErrType, "%s needs a text that is JSON", p.Owner)
	}
	return taker{st: st}.take(v, 0)
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
func base64Filters() []python.Filter {
	return []python.Filter{
		{Name: "b64decode", Run: base64Decode},
		{Name: "b64encode", Run: base64Encode},
		{Name: "base64_decode", Run: base64Decode},
		{Name: "base64_encode", Run: base64Encode},
	}
}

func base64Encode(st *python.State, in any, _ python.Params) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if err := st.Alloc(base64.StdEncoding.EncodedLen(len(s))); err != nil {
		return nil, err
	}
	return base64.StdEncoding.EncodeToString([]byte(s)), st.Read(s)
}

// base64Decode takes the alphabets of RFC 4648 for text and for URLs, with and without padding.
func base64Decode(st *python.State, in any, p python.Params) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if err := st.Alloc(decoderSize + 2*len(s)); err != nil {
		return nil, err
	}
	if err := st.Read(s); err != nil {
		return nil, err
	}
	clean := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "").Replace(s),
		"=")
	b, err := base64.RawStdEncoding.DecodeString(clean)
	if err != nil || !utf8.Valid(b) {
		return nil, fault.Errorf(fault.ErrType, "%s needs text in base64", p.Owner)
	}
	return string(b), nil
}

// hashFilters have the names of Home Assistant (md5, sha1, sha256, sha512) and Ansible (hash). The
// result is hexadecimal.
func hashFilters() []python.Filter {
	filters := []python.Filter{{Name: "hash", Params: "hashtype?", Run: hashFilter}}
	for _, name := range []string{"md5", "sha1", "sha256", "sha512"} {
		sum := hashNamed(name)
		filters = append(filters, python.Filter{Name: name,
			Run: func(st *python.State, in any, _ python.Params) (any, error) { return hash(st, in, sum) }})
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

func hashFilter(st *python.State, in any, p python.Params) (any, error) {
	name, err := p.String(0, "sha1")
	if err != nil {
		return nil, err
	}
	sum := hashNamed(name)
	if sum == nil {
		return nil, fault.Errorf(fault.ErrType, "hash knows md5, sha1, sha256 and sha512")
	}
	return hash(st, in, sum)
}

func hash(st *python.State, in any, sum func([]byte) []byte) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if err := st.Alloc(len(s)); err != nil {
		return nil, err
	}
	if err := st.Read(s); err != nil {
		return nil, err
	}
	return base16.EncodeToString(sum([]byte(s))), st.Spend(2)
}

// urlFilters are our own: Jinja2's urlencode leaves slashes as they are, and has nothing for the
// way back.
func urlFilters() []python.Filter {
	return []python.Filter{
		{Name: "urlquote", Run: urlQuote},
		{Name: "urlunquote", Run: urlUnquote},
	}
}

// urlQuote percent-encodes all that is not unreserved in RFC 3986: the result can be a part of a
// path or of a query.
func urlQuote(st *python.State, in any, _ python.Params) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if err := st.Alloc(3 * len(s)); err != nil {
		return nil, err
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), st.Read(s)
}

func urlUnquote(st *python.State, in any, p python.Params) (any, error) {
	s, _, err := st.Text(in)
	if err != nil {
		return nil, err
	}
	if err := st.Alloc(len(s)); err != nil {
		return nil, err
	}
	out, err := url.PathUnescape(s)
	if err != nil || !utf8.ValidString(out) {
		return nil, fault.Errorf(fault.ErrType, "%s needs text in which %% stands before two digits",
			p.Owner)
	}
	return out, st.Read(s)
}
