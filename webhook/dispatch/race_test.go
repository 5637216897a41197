//go:build race

package dispatch_test

// poolDrops is how many allocations more an Emit makes under the race detector, which makes a
// sync.Pool drop a part at random.
const poolDrops = 2
