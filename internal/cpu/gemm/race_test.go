//go:build race

package gemm

// underRace says that the race detector slows everything down: large tests keep to what it could find.
const underRace = true
