package console_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/mixpeek/webhooks-go/webhook/console"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// A service mounts the console beside its own pages, and says who makes a request.
func Example() {
	d, err := dispatch.New(memstore.New(), dispatch.Config{}) // that of your service
	if err != nil {
		log.Fatal(err)
	}
	c, err := console.New(d, func(r *http.Request) (console.Identity, error) {
		name, _, ok := r.BasicAuth() // or a session of your service
		if !ok {
			return console.Identity{}, console.ErrUnauthenticated
		}
		return console.Identity{Name: name, Organizations: []string{"org_acme"},
			Role: console.Administer}, nil
	}, console.Config{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(console.DefaultPrefix+"/", c)

	for _, user := range []string{"", "ada"} {
		r := httptest.NewRequest(http.MethodGet, "/console/", nil)
		if user != "" {
			r.SetBasicAuth(user, "secret")
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Printf("%q gets %d\n", user, w.Code)
	}
	// Output:
	// "" gets 401
	// "ada" gets 200
}
