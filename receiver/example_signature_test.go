package receiver_test

import (
	"fmt"

	"github.com/mixpeek/webhooks-go/event/signature"
	"github.com/mixpeek/webhooks-go/receiver"
)

// A sender signs its requests. Here it may also send a static secret, while it changes to
// signatures.
func ExampleConfig_signature() {
	key, err := signature.ParseKey("whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := signature.NewVerifier(signature.Config{Keys: []signature.VerifyKey{{Key: key}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = receiver.New(receiver.Config{
		Signature: verifier,
		Secrets:   []receiver.Secret{{Value: "correct-horse-battery-staple"}},
		AnyOf:     true,
	})
	fmt.Println(err)
	// Output: <nil>
}
