// out = op(x, y), op(x, s) and cond ? x : y, element by element.
#include "functions.cuh"
#include "nest.cuh"

// Any layout and dtype, one element a thread. Operand 2 is y, or there is none and y is the number s. An integer that is
// divided by zero is reported. F64 computes what F32 has no function of its own for, too.
template <class C, i32 N> DEVICE void binary_elements(const Nest<N> &n, i32 op, C s, Fault *fault) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[N];
  n.locate(i, at);
  C x = load_converted<C>(n.operands[1].data, at[1], n.operands[1].dtype), y = s;
  if constexpr (N == 3) y = load_converted<C>(n.operands[2].data, at[2], n.operands[2].dtype);
  if (op >= Eq) {
    n.operands[0].data[at[0]] = compare(op, x, y);
    return;
  }
  if constexpr (sizeof(C) == 8 && (C)0.5 == 0) {
    if (y == 0 && (op == Div || op == Remainder || op == Fmod)) {
      report_fault(fault, i, 0);
      return;
    }
  }
  store_converted(n.operands[0].data, at[0], n.operands[0].dtype, arithmetic(op, x, y));
}

KERNEL __launch_bounds__(256) binary_float(Nest<3> n, i32 op) { binary_elements<float>(n, op, 0, nullptr); }
KERNEL __launch_bounds__(256) binary_f64(Nest<3> n, i32 op) { binary_elements<double>(n, op, 0, nullptr); }
KERNEL __launch_bounds__(256) binary_integer(Nest<3> n, i32 op, Fault *fault) { binary_elements<i64>(n, op, 0, fault); }
KERNEL __launch_bounds__(256) scalar_float(Nest<2> n, i32 op, float s) { binary_elements<float>(n, op, s, nullptr); }
KERNEL __launch_bounds__(256) scalar_f64(Nest<2> n, i32 op, double s) { binary_elements<double>(n, op, s, nullptr); }
KERNEL __launch_bounds__(256) scalar_integer(Nest<2> n, i32 op, i64 s, Fault *fault) { binary_elements<i64>(n, op, s, fault); }

// The four operations, maxima and minima, 16 bytes a thread. Rows of x and y are contiguous or repeat one element.
template <class T, i32 N> DEVICE void binary_vectors(const Nest<N> &n, i32 op, float s) {
#pragma clang fp contract(off)
  constexpr i32 V = per16<T>;
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[N];
  i32 count = (i32)(n.inner - n.locate(i, at) * V);
  float x[V], y[V];
  load_vector<T>(x, (const T *)n.operands[1].data + at[1], n.operands[1].strides[0] == 0, count);
#pragma unroll
  for (i32 k = 0; k < V; k++) y[k] = s;
  if constexpr (N == 3) load_vector<T>(y, (const T *)n.operands[2].data + at[2], n.operands[2].strides[0] == 0, count);
  auto each = [&](auto f) {
#pragma unroll
    for (i32 k = 0; k < V; k++) x[k] = f(x[k], y[k]);
  };
  switch (op) {
  case Add: each([](float x, float y) { return x + y; }); break;
  case Sub: each([](float x, float y) { return x - y; }); break;
  case Mul: each([](float x, float y) { return x * y; }); break;
  case Div: each([](float x, float y) { return x / y; }); break;
  case Larger: each([](float x, float y) { return larger(x, y); }); break;
  default: each([](float x, float y) { return smaller(x, y); });
  }
  store_vector<T>((T *)n.operands[0].data + at[0], x, count);
}

KERNEL __launch_bounds__(256) binary_vectors_f32(Nest<3> n, i32 op) { binary_vectors<float>(n, op, 0); }
KERNEL __launch_bounds__(256) binary_vectors_bf16(Nest<3> n, i32 op) { binary_vectors<bf16>(n, op, 0); }
KERNEL __launch_bounds__(256) scalar_vectors_f32(Nest<2> n, i32 op, float s) { binary_vectors<float>(n, op, s); }
KERNEL __launch_bounds__(256) scalar_vectors_bf16(Nest<2> n, i32 op, float s) { binary_vectors<bf16>(n, op, s); }

// where moves bits of either operand: out = cond ? x : y.
template <class T> DEVICE void where(const Nest<4> &n) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[4];
  n.locate(i, at);
  const T *from = n.operands[1].data[at[1]] ? (const T *)n.operands[2].data + at[2] : (const T *)n.operands[3].data + at[3];
  ((T *)n.operands[0].data)[at[0]] = *from;
}

KERNEL __launch_bounds__(256) where_u8(Nest<4> n) { where<u8>(n); }
KERNEL __launch_bounds__(256) where_u16(Nest<4> n) { where<u16>(n); }
KERNEL __launch_bounds__(256) where_u32(Nest<4> n) { where<u32>(n); }
KERNEL __launch_bounds__(256) where_u64(Nest<4> n) { where<u64>(n); }
