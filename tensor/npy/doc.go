// Package npy reads and writes NumPy's files: arrays (.npy) and archives of named arrays (.npz).
//
//	x, err := npy.Load("x.npy", tensor.CPU())
//	err = npy.Save("y.npy", y)
//
// It reads what numpy.save and numpy.savez write, in the formats 1.0 to 3.0, of either byte order and in C or
// Fortran order:
//
//	f2 f4 f8     F16, F32, F64
//	i4 i8 u1 b1  I32, I64, U8, Bool
//	i1 i2 u2     I32, converted
//	u4           I64, converted
//	V2           BF16, which is how ml_dtypes.bfloat16 arrays are saved
//
// Arrays of Python objects, records and strings are refused: nothing of a file is ever run. What a header says is
// believed only as far as data follows, so that a short file cannot ask for much memory.
//
// The format is described in NumPy Enhancement Proposal 1 and numpy.lib.format.
package npy

// A FormatError says why a file is not one that this package reads.
type FormatError struct{ Reason string }

func (e *FormatError) Error() string { return "npy: " + e.Reason }
