//go:build !unix

package http1

import "errors"

// canProbe says that readAvailable works. Where it does not, a kept connection that the host
// has closed would not be noticed, so all requests are for the Fallback.
const canProbe = false

var errNothing = errors.ErrUnsupported

func readAvailable(uintptr, []byte) (int, error) { return 0, errNothing }
