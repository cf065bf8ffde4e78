// out = op(x), element by element.
#include "functions.cuh"
#include "nest.cuh"

// Any layout and dtype, one element a thread. F64 computes what F32 has no function of its own for, too.
template <class C> DEVICE void unary_elements(const Nest<2> &n, i32 op) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[2];
  n.locate(i, at);
  C x = load_converted<C>(n.operands[1].data, at[1], n.operands[1].dtype);
  store_converted(n.operands[0].data, at[0], n.operands[0].dtype, unary(op, x));
}

KERNEL __launch_bounds__(256) unary_float(Nest<2> n, i32 op) { unary_elements<float>(n, op); }
KERNEL __launch_bounds__(256) unary_f64(Nest<2> n, i32 op) { unary_elements<double>(n, op); }
KERNEL __launch_bounds__(256) unary_integer(Nest<2> n, i32 op) { unary_elements<i64>(n, op); }
