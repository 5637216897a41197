package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// derivationSize is the length of the half of the nonce that makes the key.
const derivationSize = 12

// derive returns AES-256-GCM with the key of one record: the derivation of XAES-256-GCM, which is
// CMAC-AES-256 in counter mode. The AEAD that it returns chooses and prepends the other half of the
// nonce itself, so that the parts have the order of the specification. Go's FIPS 140 mode allows
// that.
func derive(secret, derivation []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	k1 := make([]byte, aes.BlockSize) // the subkey of CMAC for whole blocks
	block.Encrypt(k1, k1)
	double(k1)

	key := make([]byte, 0, KeySize)
	for _, counter := range []byte{1, 2} {
		m := append([]byte{0, counter, 'X', 0}, derivation...)
		subtle.XORBytes(m, m, k1)
		block.Encrypt(m, m)
		key = append(key, m...)
	}
	own, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(own)
}

// double multiplies by x in GF(2¹²⁸), in constant time.
func double(b []byte) {
	var carry byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i], carry = b[i]<<1|carry, b[i]>>7
	}
	b[len(b)-1] ^= carry * 0x87
}
