package signature_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/signature"
)

// A valid signature is found however a proxy folds, joins or splits the lines of the header, and
// whatever other tokens are in them.
func TestSignatureHeaderForms(t *testing.T) {
	t.Parallel()
	key := signature.NewKey()
	now := time.Unix(1700000000, 0)
	body := []byte(`{"a":1}`)
	good := sign(t, now, body, key).Get(signature.HeaderSignature)
	version, mac, _ := strings.Cut(good, ",")
	bad := sign(t, now, body, signature.NewKey()).Get(signature.HeaderSignature)

	tests := map[string]struct {
		lines []string
		err   error
	}{
		"alone":                         {[]string{good}, nil},
		"second":                        {[]string{bad + " " + good}, nil},
		"first":                         {[]string{good + " " + bad}, nil},
		"own line":                      {[]string{bad, good}, nil},
		"lines joined by a proxy":       {[]string{bad + ", " + good}, nil},
		"split at the comma":            {[]string{version, mac}, nil},
		"split at every comma":          {[]string{"v1", "bad", version, mac}, nil},
		"space after the comma":         {[]string{version + ", " + mac}, nil},
		"tab from folding":              {[]string{bad + "\t" + good}, nil},
		"white space around":            {[]string{"  " + good + "\t"}, nil},
		"empty lines":                   {[]string{"", good, ""}, nil},
		"empty items":                   {[]string{",," + good + ",,"}, nil},
		"unknown version first":         {[]string{"v2,abc v9z,xyz v15,q " + good}, nil},
		"version without signature":     {[]string{"v1 " + good}, nil},
		"rubbish before":                {[]string{"hello world= " + good}, nil},
		"two signatures of one version": {[]string{"v1," + "bad " + "stray " + good}, nil},
		"sixteenth":                     {[]string{strings.Repeat(bad+" ", 15) + good}, nil},
		"sixteenth, unknown before":     {[]string{strings.Repeat("v7,x ", 15) + good}, nil},

		"seventeenth": {[]string{strings.Repeat(bad+" ", 16) + good},
			signature.ErrNoMatch},
		"seventeenth, unknown before": {[]string{strings.Repeat("v7,x ", 16) + good},
			signature.ErrNoMatch},
		"another key":                 {[]string{bad}, signature.ErrNoMatch},
		"unknown versions only":       {[]string{"v2,abc v3,def"}, signature.ErrNoMatch},
		"other version's name":        {[]string{"v1a," + mac}, signature.ErrNoMatch},
		"cut signature":               {[]string{good[:len(good)-4]}, signature.ErrNoMatch},
		"signature not padded":        {[]string{strings.TrimRight(good, "=")}, signature.ErrNoMatch},
		"line break in the signature": {[]string{good[:20] + "\n" + good[20:]}, signature.ErrNoMatch},
		"not a signature":             {[]string{"v1,!"}, signature.ErrNoMatch},

		"none":                   {nil, signature.ErrMissingHeader},
		"empty":                  {[]string{""}, signature.ErrMissingHeader},
		"empty lines only":       {[]string{"", ""}, signature.ErrMissingHeader},
		"white space only":       {[]string{" "}, signature.ErrMalformedHeader},
		"version only":           {[]string{"v1"}, signature.ErrMalformedHeader},
		"version and comma only": {[]string{"v1,"}, signature.ErrMalformedHeader},
		"no version":             {[]string{mac}, signature.ErrMalformedHeader},
		"upper-case version":     {[]string{"V1," + mac}, signature.ErrMalformedHeader},
		"not quite a version": {[]string{"v," + mac + " v1ab,x va,x v1-,x"},
			signature.ErrMalformedHeader},
		"another scheme": {[]string{"t=1700000000,v1=" + mac}, signature.ErrMalformedHeader},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := sign(t, now, body, key)
			h[signature.HeaderSignature] = test.lines
			_, err := newVerifier(t, key).Verify(h, now, body)
			require.ErrorIs(t, err, test.err)
			if err != nil {
				assert.NotContains(t, err.Error(), mac)
			}
		})
	}
}

func TestIDAndTimestampHeaders(t *testing.T) {
	t.Parallel()
	key := signature.NewKey()
	now := time.Unix(1700000000, 0)
	tests := map[string]struct {
		header string
		lines  []string
		err    error
	}{
		"no id":    {signature.HeaderID, nil, signature.ErrMissingHeader},
		"empty id": {signature.HeaderID, []string{""}, signature.ErrMissingHeader},
		"two ids": {signature.HeaderID, []string{"evt_1", "evt_1"},
			signature.ErrMalformedHeader},
		"id with a dot":     {signature.HeaderID, []string{"evt.1"}, signature.ErrMalformedHeader},
		"id with a space":   {signature.HeaderID, []string{"evt 1"}, signature.ErrMalformedHeader},
		"id with a newline": {signature.HeaderID, []string{"evt\n1"}, signature.ErrMalformedHeader},
		"id with an umlaut": {signature.HeaderID, []string{"evt_ü"}, signature.ErrMalformedHeader},
		"long id": {signature.HeaderID, []string{strings.Repeat("x", 257)},
			signature.ErrMalformedHeader},
		"another id":      {signature.HeaderID, []string{"evt_2"}, signature.ErrNoMatch},
		"no timestamp":    {signature.HeaderTimestamp, nil, signature.ErrMissingHeader},
		"empty timestamp": {signature.HeaderTimestamp, []string{""}, signature.ErrMissingHeader},
		"two timestamps": {signature.HeaderTimestamp, []string{"1700000000", "1700000001"},
			signature.ErrMalformedHeader},
		"zero": {signature.HeaderTimestamp, []string{"0"}, signature.ErrMalformedHeader},
		"leading zero": {signature.HeaderTimestamp, []string{"01700000000"},
			signature.ErrMalformedHeader},
		"plus": {signature.HeaderTimestamp, []string{"+1700000000"},
			signature.ErrMalformedHeader},
		"minus": {signature.HeaderTimestamp, []string{"-1700000000"},
			signature.ErrMalformedHeader},
		"fraction": {signature.HeaderTimestamp, []string{"1700000000.0"},
			signature.ErrMalformedHeader},
		"exponent": {signature.HeaderTimestamp, []string{"17e8"}, signature.ErrMalformedHeader},
		"underscore": {signature.HeaderTimestamp, []string{"1_700_000_000"},
			signature.ErrMalformedHeader},
		"space": {signature.HeaderTimestamp, []string{" 1700000000"},
			signature.ErrMalformedHeader},
		"Arabic digits": {signature.HeaderTimestamp, []string{"١٧٠٠٠٠٠٠٠٠"},
			signature.ErrMalformedHeader},
		"RFC 3339": {signature.HeaderTimestamp, []string{"2023-11-14T22:13:20Z"},
			signature.ErrMalformedHeader},
		"thirteen digits": {signature.HeaderTimestamp, []string{"1700000000000"},
			signature.ErrMalformedHeader},
		"twelve digits":  {signature.HeaderTimestamp, []string{"999999999999"}, signature.ErrTooNew},
		"one digit":      {signature.HeaderTimestamp, []string{"1"}, signature.ErrTooOld},
		"another second": {signature.HeaderTimestamp, []string{"1700000001"}, signature.ErrNoMatch},
		"the signed one": {signature.HeaderTimestamp, []string{"1700000000"}, nil},
		"the signed id":  {signature.HeaderID, []string{"evt_1"}, nil},
		"id of 256 bytes": {signature.HeaderID, []string{strings.Repeat("x", 256)},
			signature.ErrNoMatch},
		"no signature lines": {signature.HeaderSignature, nil, signature.ErrMissingHeader},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := sign(t, now, []byte("{}"), key)
			h[test.header] = test.lines
			_, err := newVerifier(t, key).Verify(h, now, []byte("{}"))
			require.ErrorIs(t, err, test.err)
		})
	}
}

// A signature must not be valid for the same bytes divided differently into id, timestamp and body.
func TestNoShiftBetweenIDAndBody(t *testing.T) {
	t.Parallel()
	key := signature.NewKey()
	now := time.Unix(1700000000, 0)
	h := sign(t, now, []byte("1700000000.{}"), key)
	h.Set(signature.HeaderID, "evt_1.1700000000")
	_, err := newVerifier(t, key).Verify(h, now, []byte("{}"))
	require.ErrorIs(t, err, signature.ErrMalformedHeader)
}

func FuzzVerify(f *testing.F) {
	key, err := signature.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(f, err)
	pair := signature.NewKeyPair()
	for _, v := range vectors(f) {
		f.Add(v.ID, v.Timestamp, v.Signature, "", v.Body)
	}
	f.Add("evt_1", "1700000000", "v1", "abc=", []byte("{}"))
	f.Add("", "", "", "", []byte(nil))
	f.Add("evt_1", "1700000000", "v1a,AAAA v1,, ,v2", "v0,\t", []byte("{}"))
	now := time.Unix(1700000000, 0)
	signed := sign(f, now, []byte("{}"), key, pair)
	verifier := newVerifier(f, key, pair)
	f.Fuzz(func(t *testing.T, id, timestamp, line1, line2 string, body []byte) {
		h := http.Header{
			signature.HeaderID:        {id},
			signature.HeaderTimestamp: {timestamp},
			signature.HeaderSignature: {line1, line2},
		}
		p, err := verifier.Header(h, now)
		if err == nil {
			_, err = p.Verify(body)
		}
		require.Error(t, err, "nothing here was signed with the verifier's keys at a time that counts")

		// Entries before and after a valid one, on lines of their own, do not hide it unless
		// they use up the limit.
		if strings.Count(line1, "v")+strings.Count(line2, "v") < 15 {
			around := signed.Clone()
			around[signature.HeaderSignature] = []string{line1, signed.Get(signature.HeaderSignature), line2}
			_, err = verifier.Verify(around, now, []byte("{}"))
			require.NoError(t, err)
		}
	})
}
