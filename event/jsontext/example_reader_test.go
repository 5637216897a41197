package jsontext_test

import (
	"errors"
	"fmt"

	"github.com/mixpeek/webhooks-go/event/jsontext"
)

// The members of an object, in their order, with no name twice and the values as they are written.
func ExampleReader() {
	read := func(text string) error {
		r := jsontext.NewReader([]byte(text), jsontext.MaxDepth)
		seen := map[string]bool{}
		err := r.Object(func(name []byte) error {
			if seen[string(name)] {
				return r.Fail(jsontext.RuleDuplicate)
			}
			seen[string(name)] = true
			value, err := r.Raw()
			if err == nil {
				fmt.Printf("%s is %s\n", name, value)
			}
			return err
		})
		if err == nil && !r.AtEnd() {
			err = r.Fail("must be a single object, with nothing after it")
		}
		return err
	}
	fmt.Println(read(`{"size": 1.50, "tags": ["a", "b"]}`))

	err := read(`{"size": 1, "size": 2}`)
	var invalid *jsontext.Error
	if errors.As(err, &invalid) {
		fmt.Println(invalid.Path(), invalid.Rule, "at byte", invalid.Offset)
	}
	// Output:
	// size is 1.50
	// tags is ["a", "b"]
	// <nil>
	// size is 1
	// [size] occurs twice at byte 20
}
