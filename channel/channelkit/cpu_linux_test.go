package channelkit_test

import (
	"syscall"
	"time"
)

// threadCPU is the processor time that the current thread has used, which other programs on the
// machine do not change.
func threadCPU() time.Duration {
	const thisThread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thisThread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
