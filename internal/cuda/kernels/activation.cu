// The backward of activations: dx = dy·f'(x), in one pass over memory.
#include "functions.cuh"
#include "nest.cuh"
#pragma clang fp contract(off)

// slope is f'(x) of the kept input x of SiLU, GELU, GELUTanh and Softplus, and of the kept output of Sigmoid and Tanh.
template <class C> DEVICE C slope(i32 op, C kept) {
  switch (op) {
  case Sigmoid: return (1 - kept) * kept;
  case Tanh: return fma_rn(-kept, kept, (C)1); // what rounding the square loses would show near ±1
  case SiLU: {
    C s = maths::sigmoid(kept);
    return s * (1 + kept * (1 - s));
  }
  case GELU: return maths::gelu_slope(kept);
  case GELUTanh: return maths::gelu_tanh_slope(kept);
  default: return maths::sigmoid(kept); // Softplus
  }
}

// ReLU has 0 where its output is, whatever dy.
template <class C> DEVICE C derive(i32 op, C dy, C kept) {
  if (op == ReLU) return kept == 0 ? 0 : dy;
  return dy * slope(op, kept);
}

// Any layout and dtype, one element a thread. The operands are dx, dy and what was kept.
template <class C> DEVICE void activation_backward(const Nest<3> &n, i32 op) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[3];
  n.locate(i, at);
  C dy = load_element<C>(n.operands[1].data, at[1], n.operands[1].dtype);
  C kept = load_element<C>(n.operands[2].data, at[2], n.operands[2].dtype);
  store_element(n.operands[0].data, at[0], n.operands[0].dtype, derive(op, dy, kept));
}

KERNEL __launch_bounds__(256) activation_backward_float(Nest<3> n, i32 op) { activation_backward<float>(n, op); }
KERNEL __launch_bounds__(256) activation_backward_f64(Nest<3> n, i32 op) { activation_backward<double>(n, op); }

// Contiguous rows, four elements a thread.
template <class T> DEVICE void activation_backward_vectors(const Nest<3> &n, i32 op) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[3];
  i32 count = (i32)(n.inner - n.locate(i, at) * 4);
  T *dx = (T *)n.operands[0].data + at[0];
  const T *dy = (const T *)n.operands[1].data + at[1], *kept = (const T *)n.operands[2].data + at[2];
  float d[4], k[4];
  load4(d, dy, count);
  load4(k, kept, count);
#pragma unroll
  for (i32 j = 0; j < 4; j++) d[j] = derive(op, d[j], k[j]);
  store4(dx, d, count);
}

KERNEL __launch_bounds__(256) activation_backward_vectors_f32(Nest<3> n, i32 op) { activation_backward_vectors<float>(n, op); }
KERNEL __launch_bounds__(256) activation_backward_vectors_bf16(Nest<3> n, i32 op) { activation_backward_vectors<bf16>(n, op); }
