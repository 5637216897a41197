package postgres_test

import (
	"testing"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/keybench"
	"github.com/mixpeek/webhooks-go/webhook/storetest"
)

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, func(b *testing.B) webhook.Store { return open(b, schemaDSN(b)) })
}

func BenchmarkAPIKey(b *testing.B) { keybench.Run(b, open(b, schemaDSN(b))) }
