//go:build race

package template

// slowdown is how much slower the race detector makes a render.
const slowdown = 20

// growth is how much more is allocated: a sync.Pool, as regular expressions have, drops a part at
// random under the race detector.
const growth = 16
