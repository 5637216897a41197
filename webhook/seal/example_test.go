package seal_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/webhook/seal"
)

// Changing to a new key: it comes first, and the old one stays after it until nothing needs the old
// one.
func ExampleNew() {
	ctx := context.Background()
	before, err := seal.ParseKey("2025-11:c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=")
	if err != nil {
		panic(err)
	}
	after, err := seal.NewKey("2026-11")
	if err != nil {
		panic(err)
	}

	old, err := seal.New(before)
	if err != nil {
		panic(err)
	}
	sealed, err := old.Seal(ctx, []byte("a token"), []byte("of subscription 1"))
	if err != nil {
		panic(err)
	}

	sealer, err := seal.New(after, before)
	if err != nil {
		panic(err)
	}
	opened, err := sealer.Open(ctx, "2025-11", sealed, []byte("of subscription 1"))
	fmt.Printf("%s, %v; sealed from now on with %s\n", opened, err, sealer.KeyID())
	_, err = sealer.Open(ctx, "2025-11", sealed, []byte("of subscription 2"))
	fmt.Println("for another subscription:", errors.Is(err, seal.ErrOpen))
	fmt.Println("printed:", after)
	// Output:
	// a token, <nil>; sealed from now on with 2026-11
	// for another subscription: true
	// printed: 2026-11:[redacted]
}
