package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/mixpeek/webhooks-go/webhook"
)

// errPrecondition says that If-Match names another version.
var errPrecondition = &statusError{
	status:  http.StatusPreconditionFailed,
	message: "The webhook is not in the version that If-Match names: read it again, and decide again",
}

// etag names a version of a webhook. A revision does not come again, also if the
// webhook is deleted and created under its old id: see [webhook.Subscriptions].
func etag(sub *webhook.Subscription) string { return fmt.Sprintf(`"%d"`, sub.Revision) }

func hasIfMatch(r *request) bool { return len(r.Header.Values("If-Match")) > 0 }

// checkIfMatch compares If-Match with the stored webhook by RFC 9110,
// section 13.1.1: a list of strong tags, or "*".
func checkIfMatch(r *request, stored *webhook.Subscription) error {
	if !hasIfMatch(r) {
		return nil
	}
	for tag := range strings.SplitSeq(strings.Join(r.Header.Values("If-Match"), ","), ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == etag(stored) {
			return nil
		}
	}
	return errPrecondition
}
