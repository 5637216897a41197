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

// etag names a version of a webhook. The time is part of it because a webhook
// that was deleted and created again under its old id begins at revision 1.
func etag(w *webhook.Webhook) string {
	return fmt.Sprintf(`"%d-%x"`, w.Revision, w.UpdatedAt.UnixMicro())
}

// checkIfMatch compares If-Match with the stored webhook by RFC 9110,
// section 13.1.1: a list of strong tags, or "*".
func checkIfMatch(r *request, stored *webhook.Webhook) error {
	lines := r.Header.Values("If-Match")
	if len(lines) == 0 {
		return nil
	}
	for tag := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == etag(stored) {
			return nil
		}
	}
	return errPrecondition
}
