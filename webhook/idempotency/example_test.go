package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook/idempotency"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// A service's own operation, which a client may repeat with the same key.
func Example() {
	group, err := idempotency.New(memstore.New(), idempotency.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	orders := 0
	place := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer, err := group.Do(r.Context(), idempotency.Request{
			OrganizationID: "org_acme", // whose API key the request has
			Key:            "POST /orders " + r.Header.Get("Idempotency-Key"),
			Content:        body,
		}, func(_ context.Context, t idempotency.Try) ([]byte, error) {
			if t.Again {
				return nil, errors.New("look for the order of the earlier try here")
			}
			orders++
			return fmt.Appendf(nil, "order %d: %s", orders, body), nil
		})
		switch {
		case errors.Is(err, idempotency.ErrInProgress):
			http.Error(w, "the first request is in progress", http.StatusConflict)
		case errors.Is(err, idempotency.ErrKeyReused):
			http.Error(w, "the key was used for another order", http.StatusUnprocessableEntity)
		case err != nil:
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		default:
			_, _ = w.Write(answer)
		}
	}
	for _, body := range []string{"3 apples", "3 apples", "5 pears"} {
		r := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(body))
		r.Header.Set("Idempotency-Key", "5f0c")
		w := httptest.NewRecorder()
		place(w, r)
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 200 order 1: 3 apples
	// 200 order 1: 3 apples
	// 422 the key was used for another order
}
