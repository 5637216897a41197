package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event/signature"
)

var benchBody = []byte(strings.Repeat("x", 600))

// BenchmarkHMAC is the lower limit for v1: only the hash, without reuse.
func BenchmarkHMAC(b *testing.B) {
	secret := make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		mac := hmac.New(sha256.New, secret)
		mac.Write(benchBody)
		mac.Sum(nil)
	}
}

func benchmarkSign(b *testing.B, keys ...signature.Key) {
	signer, err := signature.NewSigner(keys...)
	require.NoError(b, err)
	h := http.Header{}
	now := time.Unix(1700000000, 0)
	b.ReportAllocs()
	for b.Loop() {
		if err := signer.Sign(h, "evt_0192f0c4a5b87c3d9e1f2a3b4c5d6e7f", now, benchBody); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignV1(b *testing.B)  { benchmarkSign(b, signature.NewKey()) }
func BenchmarkSignV1a(b *testing.B) { benchmarkSign(b, signature.NewKeyPair()) }

func benchmarkVerify(b *testing.B, key signature.Key) {
	now := time.Unix(1700000000, 0)
	h := sign(b, now, benchBody, key)
	verifier := newVerifier(b, key)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verifier.Verify(h, now, benchBody); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyV1(b *testing.B)  { benchmarkVerify(b, signature.NewKey()) }
func BenchmarkVerifyV1a(b *testing.B) { benchmarkVerify(b, signature.NewKeyPair()) }
