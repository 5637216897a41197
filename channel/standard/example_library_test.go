package standard_test

import (
	"encoding/json"
	"fmt"

	"github.com/mixpeek/webhooks-go/channel/httpendpoint"
	"github.com/mixpeek/webhooks-go/channel/standard"
	"github.com/mixpeek/webhooks-go/template"
)

// The templates of all channels get dates and hashes. A filter that they do not
// have is named when a subscription is made.
func Example_library() {
	library, err := template.NewLibrary(
		template.LibraryConfig{Ready: template.ReadyDates | template.ReadyHashes})
	if err != nil {
		fmt.Println(err)
		return
	}
	channels, err := standard.New(standard.Config{Library: library})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = channels.Open(httpendpoint.Name, json.RawMessage(`{"url":"https://example.com/hook",
		"payload_template":{"day":"{{ occurred_at|strftime('%F') }}","key":"{{ subject.id|sha256 }}"}}`))
	fmt.Println(err)
	_, err = channels.Open(httpendpoint.Name, json.RawMessage(`{"url":"https://example.com/hook",
		"payload_template":{"key":"{{ subject.id|sha3 }}"}}`))
	fmt.Println(err)
	// Output:
	// <nil>
	// invalid: configs.payload_template: must be a valid template: template /key: line 1, column 15: unknown name: no filter named "sha3"
}
