// out = op(x) for the functions that models are made of, in F32 and BF16.
#include "functions.cuh"
#include "nest.cuh"

// Four elements a thread. Rows of x are contiguous, as those of out are.
template <class T> DEVICE void unary_vectors(const Nest<2> &n, i32 op) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[2];
  i32 count = (i32)(n.inner - n.locate(i, at) * 4);
  float v[4];
  load4<T>(v, (const T *)n.operands[1].data + at[1], count);
  auto each = [&](auto f) {
#pragma unroll
    for (i32 k = 0; k < 4; k++) v[k] = f(v[k]);
  };
  switch (op) {
  case Neg: each([](float x) { return -x; }); break;
  case Square: each([](float x) { return x * x; }); break;
  case ReLU: each([](float x) { return x < 0 ? 0 : x; }); break;
  case Sqrt: each([](float x) { return sqrt_rn(x); }); break;
  case Reciprocal: each([](float x) { return 1 / x; }); break;
  case Exp: each([](float x) { return maths::exp(x); }); break;
  case Log: each([](float x) { return maths::log(x); }); break;
  case Tanh: each([](float x) { return maths::tanh(x); }); break;
  case Sigmoid: each([](float x) { return maths::sigmoid(x); }); break;
  case SiLU: each([](float x) { return maths::silu(x); }); break;
  case GELU: each([](float x) { return maths::gelu(x); }); break;
  case GELUSlope: each([](float x) { return maths::gelu_slope(x); }); break;
  case GELUTanh: each([](float x) { return maths::gelu_tanh(x); }); break;
  default: each([](float x) { return maths::gelu_tanh_slope(x); });
  }
  store4<T>((T *)n.operands[0].data + at[0], v, count);
}

KERNEL __launch_bounds__(256) unary_vectors_f32(Nest<2> n, i32 op) { unary_vectors<float>(n, op); }
KERNEL __launch_bounds__(256) unary_vectors_bf16(Nest<2> n, i32 op) { unary_vectors<bf16>(n, op); }
