package channel

// StandardConfig says how the channels of this package reach the outside
// world. The zero value gives webhook.
type StandardConfig struct {
	// HTTP configures the client that all HTTP channels share.
	HTTP HTTPConfig
}

// Standard returns a Registry with the channels of this package.
func Standard(config StandardConfig) (*Registry, error) {
	client := NewHTTPClient(config.HTTP)
	r := NewRegistry()
	if err := r.Register(NameWebhook, NewWebhookDriver(client)); err != nil {
		return nil, err
	}
	return r, nil
}
