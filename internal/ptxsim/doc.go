// Package ptxsim executes PTX, the assembly language of NVIDIA GPUs, without a GPU: it parses the very source that
// would be given to the driver, runs its kernels warp by warp with divergence and reconvergence, and reports what a
// real card would silently get wrong: accesses out of bounds, races, reads of memory that nothing has written,
// barriers that not every thread reaches, copies that nobody waited for.
//
// It follows the PTX ISA (the sections named in comments are those of version 8.5) for sm_80, as far as clang and
// common inline assembly use it; what it does not know is refused by Parse.
package ptxsim
