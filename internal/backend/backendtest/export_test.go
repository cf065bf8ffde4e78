package backendtest

import "github.com/hone-ml/hone/internal/backend"

// Supported reports whether b has what the case of a name tests.
func Supported(b backend.Backend, name string) bool {
	for _, c := range cases {
		if c.name == name {
			return c.supported(b)
		}
	}
	panic("no case " + name)
}
