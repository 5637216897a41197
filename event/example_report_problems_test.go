package event_test

import (
	"fmt"

	"github.com/mixpeek/webhooks-go/event"
)

// Report all problems of your own config in one error.
func ExampleProblems() {
	check := func(name, url string) error {
		var p event.Problems
		if name == "" {
			p.Required("name")
		}
		if len(url) > 10 {
			p.Add("url", "must be at most %d characters", 10)
		}
		return p.Err()
	}
	var all event.Problems
	all.AddError("targets[0]", check("", "https://example.com"))
	all.AddError("targets[1]", check("a", "b"))
	fmt.Println(all.Err())
	// Output: invalid: targets[0].name: is required; targets[0].url: must be at most 10 characters
}
