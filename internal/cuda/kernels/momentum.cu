// The optimizers of at most one moment, in one sweep over memory; the arithmetic is that of the CPU's kernels.
#include "weights.cuh"

DEVICE Span next_quad(i64 i, i64 n, u32 aligned) { return Span{i * quad, n, aligned != 0}; }

// sgd is backend.SGDer.
KERNEL __launch_bounds__(256) sgd(Weights weights, Floats moment, Floats grad, const float *hyper, float momentum, u32 nesterov, i64 n, u32 aligned) {
  float lr = hyper[0], decay = hyper[1], scale = hyper[2], fresh = hyper[3], keep = one_minus(lr, decay);
  for (i64 i = first_element(); i * quad < n; i += element_stride()) {
    Span at = next_quad(i, n, aligned);
    float w[quad], g[quad], m[quad];
    weights.load(w, at);
    grad.load(g, at);
    if (moment.data) moment.load(m, at);
#pragma unroll
    for (i32 e = 0; e < quad; e++) {
      if (!moment.data) {
        w[e] = fma_rn(keep, w[e], mul_rn(mul_rn(-lr, scale), g[e]));
        continue;
      }
      float u = fma_rn(scale, g[e], mul_rn(decay, w[e]));
      m[e] = fma_rn(momentum, m[e], mul_rn(fresh, u));
      u = nesterov ? fma_rn(momentum, m[e], u) : m[e];
      w[e] = fma_rn(-lr, u, w[e]);
    }
    weights.store(w, at);
    if (moment.data) moment.store(m, at);
  }
}

// lion is backend.Lioner. fresh1 and fresh2 are 1 − β.
KERNEL __launch_bounds__(256) lion(Weights weights, Floats moment, Floats grad, const float *hyper, float beta1, float beta2, double fresh1, double fresh2, i64 n, u32 aligned) {
  float lr = hyper[0], keep = one_minus(lr, hyper[1]);
  float scale1 = (float)(fresh1 * hyper[2]), scale2 = (float)(fresh2 * hyper[2]);
  for (i64 i = first_element(); i * quad < n; i += element_stride()) {
    Span at = next_quad(i, n, aligned);
    float w[quad], g[quad], m[quad];
    weights.load(w, at);
    grad.load(g, at);
    moment.load(m, at);
#pragma unroll
    for (i32 e = 0; e < quad; e++) {
      float u = fma_rn(beta1, m[e], mul_rn(scale1, g[e]));
      m[e] = fma_rn(beta2, m[e], mul_rn(scale2, g[e]));
      float unit = u > 0 ? 1.0f : u < 0 ? -1.0f : u; // NaN stays
      w[e] = fma_rn(keep, w[e], mul_rn(-lr, unit));
    }
    weights.store(w, at);
    moment.store(m, at);
  }
}
