package api

import (
	"errors"
	"net/http"
	"strings"
)

// An Authenticator says which organization a request comes from. Its errors
// become answers: [ErrUnauthenticated] 401, [ErrForbidden] 403, any other 500.
// It sees the whole request, so it can also decide by method and path, such as
// refusing writes, or "reveal" in the query, to a key that may only read.
//
// The empty organization is the one tenant of a service that has no tenants.
// [Keys] has a ready Authenticator.
type Authenticator func(r *http.Request) (organizationID string, err error)

// Errors of an [Authenticator]. They may be wrapped; what wraps them is logged
// nowhere and not shown.
var (
	// ErrUnauthenticated says that the request does not prove who it is from.
	ErrUnauthenticated = errors.New("api: not authenticated")
	// ErrForbidden says that it does, and that this is not allowed to them.
	ErrForbidden = errors.New("api: forbidden")
)

// BearerToken returns the token of a request's Authorization header, or
// [ErrUnauthenticated] if there is none or more than one. See RFC 6750,
// section 2.1. It is for authenticators that look keys up elsewhere than in
// [Keys], by [HashKey].
func BearerToken(r *http.Request) (string, error) {
	lines := r.Header.Values("Authorization")
	if len(lines) != 1 {
		return "", ErrUnauthenticated
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxKeyLength {
		return "", ErrUnauthenticated
	}
	return token, nil
}
