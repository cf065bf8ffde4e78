package backendtest

import "github.com/hone-ml/hone/internal/backend"

// Failures runs the case of a name and returns what was wrong, at most a few things: for tests that ask whether the
// suite notices a broken backend. A name that no case has panics.
func Failures(b backend.Backend, name string) []string {
	for _, c := range cases {
		if c.name == name {
			return check(b, c)
		}
	}
	panic("no case " + name)
}
