// Package tensor is hone's tensor and its gradients.
//
// A Tensor is a strided view of device memory with a runtime DType. It lives in a Place: on a Device
// until nobody refers to it (parameters, moments, caches), or in a Scope until that is closed (everything
// that a step of training or inference computes). The result of an op lives in the scope of its inputs:
//
//	tape := tensor.CPU().NewTape()
//	defer tape.Close()
//	x := tensor.FromSlice(tape, []float32{1, 2, 3}, 3)
//	loss := x.Mul(w.In(tape)).Sum() // w is long-lived; In makes it a guest of the scope, at no cost
//	loss.Backward(grads)            // adds d loss / d w to the caller's gradients
//
// An op needs at least one scoped input; long-lived ones beside it are taken in as by In. A scope made
// by NewScope records nothing: there is no flag that turns gradients off.
//
// Misuse — shapes or dtypes that do not fit, two scopes in one op, use after Close — is a programmer's
// error and panics with an *Error that names the op and every shape; running out of memory panics with
// an *OOMError before memory is touched. Try turns both into errors.
//
// Operands have one dtype: nothing is promoted, and a number beside a tensor takes the tensor's dtype. Shapes
// broadcast. docs/types.md has the table of dtypes.
//
// Sums accumulate in F32 (F64 for F64) in a fixed order: the same seed gives the same bits whatever
// GOMAXPROCS is.
package tensor
