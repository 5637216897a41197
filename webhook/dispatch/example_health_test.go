package dispatch_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// Probes: of Kubernetes, for instance, readinessProbe and startupProbe ask /readyz, and
// livenessProbe asks /livez.
func ExampleNewHealthHandler() {
	d, err := dispatch.New(memstore.New(), dispatch.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ready, err := dispatch.NewHealthHandler(d, dispatch.HealthConfig{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/readyz", ready)
	mux.Handle("/livez", dispatch.NewLivenessHandler(d))

	server := httptest.NewServer(mux)
	defer server.Close()
	for _, path := range []string{"/readyz", "/livez"} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		fmt.Printf("%s %s", response.Status, body)
	}
	// Output:
	// 200 OK {"status":"ready","store":true,"running":false,"oldest_due_seconds":0}
	// 200 OK {"status":"alive"}
}
