package backendtest

import "github.com/hone-ml/hone/internal/backend"

// Failures runs the case of a name and returns what was wrong.
func Failures(b backend.Backend, name string) []string {
	for _, c := range cases {
		if c.name == name {
			return check(b, c)
		}
	}
	panic("no case " + name)
}

// Supported reports whether b has what the case of a name tests.
func Supported(b backend.Backend, name string) bool {
	for _, c := range cases {
		if c.name == name {
			return c.supported(b)
		}
	}
	panic("no case " + name)
}
