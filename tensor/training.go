package tensor

// A step either trains or evaluates, and its scope is what says so: layers such as dropout and batch
// normalisation ask the scope of their input. No module and nothing global holds a mode that could be
// forgotten. See docs/decisions/0012-training-is-the-scopes.md.

// trainingMode is what SetTraining said of a scope.
type trainingMode uint8

const (
	trainsOnTape trainingMode = iota // as NewTape and NewScope have it
	trains
	evaluates
)

// Training reports whether layers that tell training from evaluation train in this scope: in a tape they do,
// in a scope that records nothing they do not, unless SetTraining said otherwise. Scopes nested by Block,
// Checkpoint and Selective are as the scope of the step.
func (s *Scope) Training() bool {
	for s.parent != nil {
		s = s.parent
	}
	if s.mode == trainsOnTape {
		return s.tape != nil
	}
	return s.mode == trains
}

// SetTraining says whether layers train in this scope, whatever it records: false on a tape gives gradients
// without dropout, true in a scope that records nothing gives dropout without gradients. It outlasts
// Reset. It panics in a nested scope, whose step has begun. (torch.nn.Module.train.)
func (s *Scope) SetTraining(on bool) {
	if s.parent != nil {
		panic(&Error{Op: "SetTraining", Reason: "the scope of a Block is as that of the step: say it there"})
	}
	s.mode = evaluates
	if on {
		s.mode = trains
	}
}

// Recomputing reports whether a Checkpoint runs its function once more, for backward, in this scope. What a
// layer keeps between steps, such as running statistics, must not advance a second time then.
func (s *Scope) Recomputing() bool {
	for ; s != nil; s = s.parent {
		if s.again {
			return true
		}
	}
	return false
}
