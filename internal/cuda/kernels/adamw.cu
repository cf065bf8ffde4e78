// AdamW (Loshchilov and Hutter 2019) in one sweep over weights, moments and gradients, whatever forms they have: see
// backend.AdamWer. The arithmetic is that of the CPU's kernels, operation by operation.
#include "philox.cuh"
#include "weights.cuh"

// The numbers that stay from step to step.
struct Constants {
  float beta1, rest1, beta2, rest2; // β and 1 − β
  float eps;
  u32 coupled; // decay goes into the gradient
  u64 stream;  // of random bits
};

// A Rule is a step: the constants, and what is made of the numbers in device memory.
struct Rule {
  Constants c;
  float decay, l2, c2, step, grad_scale;
  u64 count; // of steps, as the upper half of counters of random bits

  __device__ __attribute__((always_inline)) Rule(const Constants &c, const float *hyper) : c(c) {
    float number = hyper[lane_index() < 6 ? lane_index() : 0]; // one load for all
    float lr = shuffle(number, 0), wd = shuffle(number, 1);
    decay = c.coupled ? 1.0f : one_minus(lr, wd);
    l2 = wd;
    step = (float)((double)lr * (double)shuffle(number, 2));
    c2 = shuffle(number, 3);
    grad_scale = shuffle(number, 4);
    count = (u64)(u32)shuffle(number, 5) << 32;
  }

  __device__ __attribute__((always_inline)) void apply(float &w, float &m, float &v, float grad) const {
    float g = mul_rn(grad, grad_scale);
    if (c.coupled) g = fma_rn(l2, w, g);
    m = fma_rn(c.rest1, g, mul_rn(c.beta1, m));
    v = fma_rn(g, mul_rn(c.rest2, g), mul_rn(c.beta2, v));
    float root = add_rn(c.eps, sqrt_rn(mul_rn(c2, v)));
    w = sub_rn(mul_rn(decay, w), div_rn(mul_rn(step, m), root));
  }
};

// stochastic is backend.StochasticBF16.
DEVICE u16 stochastic(float x, u32 random) {
  u32 b = x == x ? bits<u32>(x) : 0x7fc00000u;
  return (u16)((b + random) >> 16);
}

// store_weights rounds weights that are BF16 and nothing beside with the bits of backend.WeightNoise.
DEVICE void store_weights(const Weights &weights, const float *w, Span at, const Rule &rule) {
  if (weights.master || weights.remainder) {
    weights.store(w, at);
    return;
  }
  u32 words[4];
  philox(words, rule.count | (u32)(at.first / 8), ~rule.c.stream);
  bool second = at.first % 8 != 0; // half of the block's eight elements
  u32 low = second ? words[2] : words[0], high = second ? words[3] : words[1];
  u16 raw[quad] = {stochastic(w[0], low & 0xffff), stochastic(w[1], low >> 16), stochastic(w[2], high & 0xffff), stochastic(w[3], high >> 16)};
  store_raw((u16 *)weights.param, raw, at);
}

// A warp takes 256 elements at a time, each thread two quads of them.
constexpr i32 block_elements = 256;

DEVICE i64 first_block() { return (i64)block_index() * block_warps() + warp_index(); }
DEVICE i64 block_stride() { return (i64)grid_blocks() * block_warps(); }

KERNEL __launch_bounds__(256) adamw_moments_f32(Weights weights, float *ms, float *vs, Floats grad, const float *hyper, Constants c, i64 n, u32 aligned) {
  Rule rule(c, hyper);
  for (i64 block = first_block(); block * block_elements < n; block += block_stride()) {
#pragma unroll 1
    for (i32 q = 0; q < 2; q++) {
      Span at{block * block_elements + q * 128 + lane_index() * quad, n, aligned != 0};
      float w[quad], m[quad], v[quad], g[quad];
      weights.load(w, at);
      load_quad(m, ms, at);
      load_quad(v, vs, at);
      grad.load(g, at);
#pragma unroll
      for (i32 e = 0; e < quad; e++) rule.apply(w[e], m[e], v[e], g[e]);
      store_weights(weights, w, at, rule);
      store_quad(ms, m, at);
      store_quad(vs, v, at);
    }
  }
}

// ---- moments of BF16, rounded stochastically

// The quads of a thread lie 16 elements apart: their noise is all words of two blocks of Philox, see backend.AdamWNoise.
KERNEL __launch_bounds__(256) adamw_moments_bf16(Weights weights, u16 *ms, u16 *vs, Floats grad, const float *hyper, Constants c, i64 n, u32 aligned) {
  Rule rule(c, hyper);
  for (i64 block = first_block(); block * block_elements < n; block += block_stride()) {
    i64 first = block * block_elements + lane_index() / 4 * 32 + lane_index() % 4 * quad;
    if (first >= n) continue;
    u64 counter = rule.count | (u32)(first / 32 * 8 + first % 16 / 2);
    u32 a[4], b[4];
    philox(a, counter, c.stream);
    philox(b, counter + 1, c.stream);
    const u32 noise[2][quad] = {{a[0], a[1], b[0], b[1]}, {a[2], a[3], b[2], b[3]}};
#pragma unroll
    for (i32 q = 0; q < 2; q++) {
      Span at{first + 16 * q, n, aligned != 0};
      float w[quad], m[quad], v[quad], g[quad];
      u16 raw[quad];
      weights.load(w, at);
      load_quad(m, (const bf16 *)ms, at);
      load_quad(v, (const bf16 *)vs, at);
      grad.load(g, at);
#pragma unroll
      for (i32 e = 0; e < quad; e++) rule.apply(w[e], m[e], v[e], g[e]);
      store_weights(weights, w, at, rule);
#pragma unroll
      for (i32 e = 0; e < quad; e++) raw[e] = stochastic(m[e], noise[q][e] & 0xffff);
      store_raw(ms, raw, at);
#pragma unroll
      for (i32 e = 0; e < quad; e++) raw[e] = stochastic(v[e], noise[q][e] >> 16);
      store_raw(vs, raw, at);
    }
  }
}

// ---- moments of 8 bits with a scale for each block

// A Map is backend.DynamicMap.
struct Map {
  float bias, slope[8], shift[8], thresholds[7], rise[8], base[8], last[8];

  __device__ __attribute__((always_inline)) float number(i32 code) const {
    float f = add_rn((float)code, bias);
    u32 e = bits<u32>(f) >> 23 & 7;
    return sub_rn(mul_rn(f, slope[e]), shift[e]);
  }

  __device__ __attribute__((always_inline)) i32 code(float y) const {
    i32 d = y >= thresholds[3] ? 4 : 0; // the number of thresholds that y reaches, by halving
    d += y >= thresholds[d + 1] ? 2 : 0;
    d += y >= thresholds[d] ? 1 : 0;
    return (i32)min_(add_rn(mul_rn(y, rise[d]), base[d]), last[d]);
  }
};

struct Maps { Map of_m, of_v; };

struct Larger { static __device__ u32 of(u32 x, u32 y) { return x > y ? x : y; } };

// inverse_of is 1/scale, or 0 where that would not be a number to multiply by.
DEVICE float inverse_of(float scale) { return __builtin_fabsf(scale) < 0x1p-126f ? 0 : div_rn(1.0f, scale); }

KERNEL __launch_bounds__(256) adamw_moments_u8(Weights weights, u8 *ms, u8 *vs, float *m_scales, float *v_scales, Floats grad, const float *hyper, Constants c, const Maps maps, i64 n, u32 aligned) {
  __shared__ Maps table;
  for (i32 i = thread_index(); i < (i32)(sizeof(Maps) / sizeof(float)); i += block_threads()) ((float *)&table)[i] = ((const float *)&maps)[i];
  syncthreads();
  Rule rule(c, hyper);
  for (i64 block = first_block(); block * block_elements < n; block += block_stride()) {
    float m[2][quad], v[2][quad], m_scale = m_scales[block], v_scale = v_scales[block];
    u32 m_key = 0, v_key = 0; // of the largest: its bits, of m with the sign in the lowest
#pragma unroll
    for (i32 q = 0; q < 2; q++) {
      Span at{block * block_elements + q * 128 + lane_index() * quad, n, aligned != 0};
      float w[quad], g[quad];
      u8 code[quad];
      load_raw(code, ms, at);
#pragma unroll
      for (i32 e = 0; e < quad; e++) {
        i32 k = (i8)code[e];
        float magnitude = table.of_m.number(k < 0 ? -k : k);
        m[q][e] = mul_rn(k < 0 ? -magnitude : magnitude, m_scale);
      }
      load_raw(code, vs, at);
#pragma unroll
      for (i32 e = 0; e < quad; e++) v[q][e] = mul_rn(table.of_v.number(code[e]), v_scale);
      weights.load(w, at);
      grad.load(g, at);
#pragma unroll
      for (i32 e = 0; e < quad; e++) {
        rule.apply(w[e], m[q][e], v[q][e], g[e]);
        u32 b = bits<u32>(m[q][e]);
        if (at.has(e)) {
          m_key = Larger::of(m_key, b << 1 | b >> 31);
          v_key = Larger::of(v_key, bits<u32>(v[q][e]));
        }
      }
      store_weights(weights, w, at, rule);
    }
    m_key = warp_reduce<Larger>(m_key);
    v_key = warp_reduce<Larger>(v_key);
    m_scale = -bits<float>(m_key >> 1 | m_key << 31);
    v_scale = bits<float>(v_key);
    if (lane_index() == 0) {
      m_scales[block] = m_scale;
      v_scales[block] = v_scale;
    }
    m_scale = inverse_of(m_scale);
    v_scale = inverse_of(v_scale);
#pragma unroll
    for (i32 q = 0; q < 2; q++) {
      Span at{block * block_elements + q * 128 + lane_index() * quad, n, aligned != 0};
      u8 code[quad];
#pragma unroll
      for (i32 e = 0; e < quad; e++) {
        float y = mul_rn(m[q][e], m_scale);
        i32 k = table.of_m.code(__builtin_fabsf(y));
        code[e] = (u8)(y < 0 ? -k : k);
      }
      store_raw(ms, code, at);
#pragma unroll
      for (i32 e = 0; e < quad; e++) code[e] = (u8)table.of_v.code(mul_rn(v[q][e], v_scale));
      store_raw(vs, code, at);
    }
  }
}

// ---- F64

// The half formats are reached by way of F32, as Copy does.
KERNEL __launch_bounds__(256) adamw_f64(void *param, i32 dtype, double *ws, double *ms, double *vs, const double *grad, const float *hyper, double beta1, double beta2, double eps, u32 coupled, i64 n) {
  double lr = hyper[0], wd = hyper[1], c1 = hyper[2], c2 = hyper[3], scale = hyper[4];
  for (i64 i = first_element(); i < n; i += element_stride()) {
    double w = ws[i], g = grad[i] * scale + (coupled ? wd * w : 0);
    double m = beta1 * ms[i] + (1 - beta1) * g, v = beta2 * vs[i] + (1 - beta2) * g * g;
    ms[i] = m;
    vs[i] = v;
    w = w * (coupled ? 1 : 1 - lr * wd) - lr * (m * c1) / (sqrt_rn(v * c2) + eps);
    ws[i] = w;
    if (!param) continue;
    if (dtype == F32) {
      ((float *)param)[i] = (float)w;
    } else if (dtype == BF16) {
      ((bf16 *)param)[i] = narrow<bf16>((float)w);
    } else {
      ((f16 *)param)[i] = narrow<f16>((float)w);
    }
  }
}
