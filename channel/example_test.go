package channel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
)

// A consumer in the same process is a function. What it returns decides what
// happens to the delivery.
func ExampleFunc() {
	index := channel.Func(func(_ context.Context, m *channel.Message) (channel.Result, error) {
		e, err := m.Event()
		if err != nil {
			return channel.Result{}, &channel.Error{Action: channel.Permanent, Class: channel.ClassPayload,
				Err: err}
		}
		if e.Subject.Type != "object" {
			return channel.Result{}, errors.New("the index is busy") // any other error is retried
		}
		fmt.Println("indexed", e.Subject.ID)
		return channel.Result{}, nil
	})
	registry := channel.NewRegistry()
	if err := registry.Register("index", index); err != nil {
		fmt.Println(err)
		return
	}

	c, err := registry.Open("index", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, kind := range []string{"object", "collection"} {
		m, err := channel.NewMessage(event.New(kind+".created", event.Subject{Type: kind, ID: "id_1"}))
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err = c.Send(context.Background(), m); err != nil {
			fmt.Println(err, "- worth a retry:", channel.AsError(err).Retryable())
		}
	}
	// Output:
	// indexed id_1
	// the index is busy - worth a retry: true
}

// What an answer means is one table.
func ExampleClassify() {
	for _, status := range []int{200, 302, 404, 410, 503} {
		header := http.Header{"Retry-After": {"120"}}
		err := channel.AsError(channel.Classify(status, header, noon))
		if err == nil {
			fmt.Println(status, channel.Success)
			continue
		}
		fmt.Println(status, err.Action, err.RetryAfter)
	}
	// Output:
	// 200 success
	// 302 retry 0s
	// 404 retry 0s
	// 410 disable 0s
	// 503 wait 2m0s
}
