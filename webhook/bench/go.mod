module github.com/mixpeek/webhooks-go/webhook/bench

go 1.25.0

require (
	github.com/mixpeek/webhooks-go v0.0.0
	github.com/mixpeek/webhooks-go/webhook/sqlite v0.0.0
)

replace (
	github.com/mixpeek/webhooks-go => ../..
	github.com/mixpeek/webhooks-go/webhook/sqlite => ../sqlite
)
