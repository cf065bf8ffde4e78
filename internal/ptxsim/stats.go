package ptxsim

// Stats counts what a launch did. Caches are not modelled: bytes are those of every 32-byte sector that each
// warp-wide access touches, so a second read of the same data counts again.
type Stats struct {
	WarpInstructions    int64
	Branches            int64 // conditional ones
	DivergentBranches   int64
	GlobalLoadBytes     int64 // by ld, cp.async and atom
	GlobalStoreBytes    int64 // by st, atom and red
	GlobalAtomics       int64 // lanes
	SharedAccesses      int64 // warp-wide ld, st, atom, cp.async, ldmatrix phases that were needed at least
	SharedBankConflicts int64 // phases beyond those
	Mma                 int64
	AsyncCopies         int64 // warp-wide cp.async
	Barriers            int64 // completed by a block
}

// Add adds another launch's counts.
func (s *Stats) Add(o Stats) {
	s.WarpInstructions += o.WarpInstructions
	s.Branches += o.Branches
	s.DivergentBranches += o.DivergentBranches
	s.GlobalLoadBytes += o.GlobalLoadBytes
	s.GlobalStoreBytes += o.GlobalStoreBytes
	s.GlobalAtomics += o.GlobalAtomics
	s.SharedAccesses += o.SharedAccesses
	s.SharedBankConflicts += o.SharedBankConflicts
	s.Mma += o.Mma
	s.AsyncCopies += o.AsyncCopies
	s.Barriers += o.Barriers
}
