package backend

// The coefficients of Muon's Newton–Schulz iteration, x ← a·x + b·(x·xᵀ)·x + c·(x·xᵀ)²·x (Jordan et al., 2024).
const (
	MuonA = 3.4445
	MuonB = -4.7750
	MuonC = 2.0315
)

// MuonHyper is the length of the vector of numbers that change from step to step.
const MuonHyper = 3

// MuonArgs are the constants of Muon.
type MuonArgs struct {
	Momentum float64 // μ
	Steps    int     // of the iteration
}

// MuonState is a matrix and what Muon keeps of it, all contiguous [R, C]. Master is F32; Param, when not
// nil, receives it converted to its dtype. Momentum and Grad are F32 or BF16.
type MuonState struct{ Param, Master, Momentum, Grad *View }

// Muoner fuses a step of Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks",
// 2024) over matrices of one shape:
//
//	m ← μ·m + g;  x ← g + μ·m;  w ← w·(1 − lr·wd) − lr·√max(1, R/C)·orthogonal(x)
//
// where g is Grad times the gradient scale and orthogonal is Steps of the iteration from x/(‖x‖+10⁻⁷). hyper
// is F32[MuonHyper] = lr, wd, gradient scale. scratch is F32, contiguous, of MuonScratch elements.
type Muoner interface {
	Muon(matrices []MuonState, hyper, scratch *View, a MuonArgs)
}

// MuonScratch is how many elements a matrix takes while it is orthogonalised: two copies of it, and two of
// its smaller square.
func MuonScratch(rows, cols int) int {
	n := min(rows, cols)
	return 2*rows*cols + 2*n*n
}
