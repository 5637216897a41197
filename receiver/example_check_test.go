package receiver_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mixpeek/webhooks-go/receiver"
)

// Check is for code that wants no middleware.
func ExampleReceiver_Check() {
	rcv, err := receiver.New(receiver.Config{Secrets: []receiver.Secret{{Value: "correct-horse-battery-staple"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodPost, "https://example.com/webhooks",
		strings.NewReader(created))
	r.Header.Set("Content-Type", "application/json")
	_, err = rcv.Check(r)
	fmt.Println(err, errors.Is(err, receiver.ErrSecretMissing))

	r.Header.Set("X-Mixpeek-Secret", "correct-horse-battery-staple")
	d, err := rcv.Check(r)
	fmt.Println(d.Event.Type, d.Claim.Key, err)
	// Output:
	// receiver: secret header missing true
	// object.created evt_1 <nil>
}

// The error for a configuration has all of its problems.
func ExampleNew_invalid() {
	_, err := receiver.New(receiver.Config{
		Secrets: []receiver.Secret{{Value: "from-a-file-with-a-newline\n"}},
		MaxBody: -1,
	})
	fmt.Println(err)
	// Output:
	// receiver: New: invalid: MaxBody: must not be negative; Secrets[0].Value: must not begin or end with white space, which headers lose in transit
}
