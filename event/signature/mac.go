package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"
)

// macPool computes HMAC-SHA256 with one secret. It reuses hashes that are keyed already, which
// saves half the cost of a small message.
type macPool struct{ pool sync.Pool }

// macState is a keyed hash and its buffers.
type macState struct {
	hash    hash.Hash
	prefix  []byte
	sum     []byte
	encoded []byte
}

func newMACPool(secret []byte) *macPool {
	p := new(macPool)
	p.pool.New = func() any { return &macState{hash: hmac.New(sha256.New, secret)} }
	return p
}

// with calls use with the signature in base64, which is valid only during the call.
func (p *macPool) with(id, timestamp string, body []byte, use func(encoded []byte)) {
	s := p.pool.Get().(*macState)
	s.hash.Reset()
	s.prefix = appendPrefix(s.prefix[:0], id, timestamp)
	s.hash.Write(s.prefix)
	s.hash.Write(body)
	s.sum = s.hash.Sum(s.sum[:0])
	s.encoded = base64.StdEncoding.AppendEncode(s.encoded[:0], s.sum)
	use(s.encoded)
	p.pool.Put(s)
}

// appendPrefix appends the signed bytes that precede the body.
func appendPrefix(dst []byte, id, timestamp string) []byte {
	dst = append(dst, id...)
	dst = append(dst, '.')
	dst = append(dst, timestamp...)
	return append(dst, '.')
}
