package channel_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/channel/channeltest"
)

func TestFuncContract(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for tenths of a second")
	}
	never := func(testing.TB) json.RawMessage { return json.RawMessage(`"never"`) }
	channeltest.Run(t, channeltest.Harness{
		Driver: channel.DriverFunc(func(config json.RawMessage) (channel.Channel, error) {
			hang := string(config) == `"never"`
			return channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Result, error) {
				if !hang {
					return channel.Result{}, nil
				}
				<-ctx.Done()
				return channel.Result{}, channel.ContextError(ctx)
			}), nil
		}),
		Accepting: func(testing.TB) json.RawMessage { return json.RawMessage(`{}`) },
		Hanging:   never,
	})
}
