package signature_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/event/signature"
)

// The sender and the receiver share a signing key.
func ExampleSigner_Sign() {
	key, err := signature.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	signer, err := signature.NewSigner(key)
	if err != nil {
		panic(err)
	}
	h := http.Header{}
	err = signer.Sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0),
		[]byte(`{"test": 2432232314}`))
	fmt.Println(h.Get("webhook-timestamp"), h.Get("webhook-signature"), err)
	// Output: 1614265330 v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= <nil>
}

// A receiver refuses a request with wrong headers before it reads the body.
func ExampleVerifier_Header() {
	key, _ := signature.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	verifier, err := signature.NewVerifier(signature.Config{Keys: []signature.VerifyKey{{Key: key}}})
	if err != nil {
		panic(err)
	}
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

	_, err = verifier.Header(h, time.Unix(1614265330, 0).Add(time.Hour))
	fmt.Println(errors.Is(err, signature.ErrTooOld))

	pending, err := verifier.Header(h, time.Unix(1614265330, 0).Add(time.Second))
	if err != nil {
		panic(err)
	}
	verified, err := pending.Verify([]byte(`{"test": 2432232314}`))
	fmt.Println(verified.ID, err)
	// Output:
	// true
	// msg_p5jXN8AQM9LWM0D4loKWxJek <nil>
}

// While a signing key is being replaced, the sender signs with both keys, the new one first, and
// the receiver accepts the old one until NotAfter.
func Example_rotation() {
	oldKey, newKey := signature.NewKey(), signature.NewKey()
	now := time.Now()
	signer, err := signature.NewSigner(newKey, oldKey)
	if err != nil {
		panic(err)
	}
	verifier, err := signature.NewVerifier(signature.Config{Keys: []signature.VerifyKey{
		{Key: newKey},
		{Key: oldKey, NotAfter: now.Add(24 * time.Hour)},
	}})
	if err != nil {
		panic(err)
	}
	h := http.Header{}
	if err := signer.Sign(h, "evt_1", now, []byte("{}")); err != nil {
		panic(err)
	}
	_, err = verifier.Verify(h, now, []byte("{}"))
	fmt.Println(err)
	// Output: <nil>
}

// A receiver that must not be able to sign gets only the public key.
func ExampleKey_Public() {
	pair := signature.NewKeyPair()
	public, _ := pair.Public()
	_, err := signature.NewSigner(public)
	fmt.Println(err)
	fmt.Println(public, pair)
	// Output:
	// invalid: keys[0]: is a public key, which cannot sign
	// whpk_[redacted] whsk_[redacted]
}
