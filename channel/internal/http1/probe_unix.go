//go:build unix

package http1

import (
	"io"
	"syscall"
)

// canProbe says that readAvailable works.
const canProbe = true

// errNothing is what readAvailable meets on a connection at rest. crypto/tls takes it as an
// error that passes, because its Temporary returns true.
const errNothing = syscall.EAGAIN

// readAvailable reads what a socket holds, without waiting. It fails with errNothing or with
// io.EOF if it holds nothing.
func readAvailable(fd uintptr, b []byte) (int, error) {
	n, err := syscall.Read(int(fd), b)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}
