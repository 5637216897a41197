package dispatch_test

import (
	"encoding/json"

	"github.com/mixpeek/webhooks-go/webhook"
)

// via makes the configuration of a channel of the tests' own.
func via(name string, config any) webhook.ChannelConfig {
	raw, err := json.Marshal(config)
	if err != nil {
		panic(err)
	}
	return webhook.ChannelConfig{Channel: name, Configs: raw}
}
