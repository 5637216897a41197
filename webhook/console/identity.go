package console

import (
	"errors"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Role says what an identity may do. Each role includes those before it.
type Role = webhook.Role

// The roles. The zero Role may look at everything but secrets.
const (
	// Read may look.
	Read = webhook.RoleRead
	// Operate may replay, cancel and skip deliveries, send tests, pause subscriptions, and enable
	// and disable endpoints.
	Operate = webhook.RoleOperate
	// Administer may create, change and delete subscriptions, rotate signing secrets, and create and
	// revoke API keys.
	Administer = webhook.RoleAdminister
)

// Identity says who makes a request, and what they may see and do.
type Identity struct {
	// Name names the person or program, such as a mail address. It is shown on the pages, given to
	// Config.Audit, and kept as [webhook.EndpointState.ChangedBy], up to 200 bytes of it. Empty means
	// "console".
	Name string
	// Organizations are those that a customer may see. A service without tenants has one, "". An
	// identity with none that is no operator sees nothing.
	Organizations []string
	// Operator may see all organizations, and the figures of the store and the process.
	Operator bool
	// Role is what the identity may do in these organizations.
	Role Role
	// Reveal lets the identity see secrets, such as header values and signing secrets.
	Reveal bool
}

// Errors of an Authorize function. They may be wrapped; the text of what wraps them is neither
// logged nor shown. They are answered with 401 and 403, and any other error with 500.
var (
	// ErrUnauthenticated means that the request does not say who makes it.
	ErrUnauthenticated = errors.New("console: not authenticated")
	// ErrForbidden means that the person who makes the request may not use the console.
	ErrForbidden = errors.New("console: forbidden")
)

// sees reports whether the identity may see the organization.
func (i *Identity) sees(organizationID string) bool {
	return i.Operator || slices.Contains(i.Organizations, organizationID)
}

// right is what a route asks for.
type right int

const (
	toRead right = iota
	toOperate
	toAdminister
	toReveal
)

// has reports whether the identity may do it.
func (i *Identity) has(need right) bool {
	switch need {
	case toRead:
		return true
	case toOperate:
		return i.Role >= Operate
	case toAdminister:
		return i.Role >= Administer
	case toReveal:
		return i.Reveal
	}
	return false
}
