package nn

// WithStepsTogether runs fn with another bound on the elements of a state that recurrent networks compute together.
func WithStepsTogether(elements int, fn func()) {
	before := together
	together = elements
	defer func() { together = before }()
	fn()
}
