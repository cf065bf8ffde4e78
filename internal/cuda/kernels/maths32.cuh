// Elementary functions in F32: those that training calls often are computed in F32, the others in F64 and rounded once.
// As in maths64.cuh every step is an operation of IEEE 754, so the results are the same bits on every card. The errors
// given were measured against F64, in units of the last place, at all F32 arguments (steps of 97).
#pragma once
#include "maths64.cuh"

namespace maths {

constexpr float inf32 = __builtin_inff();
constexpr float nan32 = __builtin_nanf("");

DEVICE float abs(float x) { return __builtin_fabsf(x); }
DEVICE float copysign(float x, float sign) { return __builtin_copysignf(x, sign); }
DEVICE bool isnan(float x) { return x != x; }

DEVICE float power_of_two32(i32 n) { return bits<float>((u32)(n + 127) << 23); } // for −126 ≤ n ≤ 127

// exp: 1 ulp. The polynomial is that of Cephes' expf (Moshier 1992), as on the CPU. NaN stays.
DEVICE float exp(float x) {
  const float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  if (isnan(x)) return x;
  x = min_(max_(x, -104.f), 89.f);
  float n = __builtin_rintf(x * 1.44269504088896341f);
  float r = fma_rn(n, -0.693359375f, x);
  r = fma_rn(n, 2.12194440e-4f, r);
  float p = fma_rn(r * r, polynomial(r, c), r) + 1;
  i32 e = (i32)n;
  return p * power_of_two32(e >> 1) * power_of_two32(e - (e >> 1));
}

// log: 1 ulp, by the polynomial of Cephes' logf (Moshier 1992), as on the CPU.
DEVICE float log(float x) {
  const float c[] = {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                     -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};
  if (!(x > 0)) return x == 0 ? -inf32 : nan32;
  if (x == inf32) return x;
  float n = 0;
  if (x < 0x1p-126f) {
    x *= 0x1p23f;
    n = -23;
  }
  const u32 root = 0x3f3504f3u;
  u32 b = bits<u32>(x) - root;
  n += (float)((i32)b >> 23);
  float f = bits<float>((b & 0x7fffffu) + root) - 1;
  float square = f * f;
  float y = polynomial(f, c) * square * f;
  y = fma_rn(n, -2.12194440e-4f, y);
  y = fma_rn(square, -0.5f, y);
  return fma_rn(n, 0.693359375f, f + y);
}

// log1p: 2.5 ulp; see the F64 one.
DEVICE float log1p(float x) {
  float u = 1 + x, d = u - 1;
  if (d == 0) return x;
  if (!(u > 0 && u < inf32)) return log(u);
  return log(u) * (x / d);
}

// ---- angles

struct Angle32 {
  float rest;
  i32 quarter;
};
DEVICE Angle32 reduce_angle(float x) {
  float a = abs(x);
  if (!(a < 0x1p17f)) {
    Angle r = reduce_angle((double)x);
    return {(float)r.rest, r.quarter};
  }
  float n = __builtin_rintf(x * 0.636619772367581343f);
  float r = fma_rn(n, -0x1.921fb6p+0f, x);
  r = fma_rn(n, 0x1.777a5cp-25f, r);
  r = fma_rn(n, 0x1.ee59dap-50f, r);
  return {r, (i32)n & 3};
}

// sin and cos: 1.5 ulp. Cephes' sinf and cosf (Moshier 1992), as on the CPU.
DEVICE float sin(Angle32 a) {
  const float s[] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
  const float c[] = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f};
  float z = a.rest * a.rest;
  float sine = fma_rn(z * polynomial(z, s), a.rest, a.rest);
  float cosine = fma_rn(z, fma_rn(z, polynomial(z, c), -0.5f), 1.f);
  float y = a.quarter & 1 ? cosine : sine;
  return a.quarter & 2 ? -y : y;
}
DEVICE float cos(Angle32 a) { return sin(Angle32{a.rest, a.quarter + 1}); }

// ---- activations

// sigmoid and silu: 3 ulp. No exponential overflows, and e keeps the digits of small results.
DEVICE float sigmoid(float x) {
  float e = exp(-abs(x));
  return (x < 0 ? e : 1) / (1 + e);
}
DEVICE float silu(float x) { return x * sigmoid(x); }

// softplus: 3 ulp.
DEVICE float softplus(float x) { return isnan(x) ? x : max_(x, 0.f) + log1p(exp(-abs(x))); }

// tanh: 1.5 ulp. 1 − 2/(exp(2x) + 1), or Cephes' polynomial (Moshier 1992) where that would cancel.
DEVICE float tanh(float x) {
  const float c[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f, -3.33332819422e-1f};
  float a = abs(x);
  if (a < 0.625f) {
    float z = x * x;
    return fma_rn(z * polynomial(z, c), x, x);
  }
  return copysign(1 - 2 / (exp(a + a) + 1), x);
}

// Normal is Φ(x) and exp(−x²/2), with x no larger than 14.5 in magnitude: beyond, Φ is 0 or 1 in F32.
struct Normal {
  float cdf, density, x;
};
// normal is Φ(−a) = exp(−a²/2)·E(a) for a ≥ 0, where E is Mills' ratio but for a factor: t times a polynomial in
// t = 1/(1 + 0.35·a), fitted to least relative error, as on the CPU.
DEVICE Normal normal(float x) {
  const float c[] = {-0.02915802991800115f, 0.14403160913036886f, -0.2558403993524541f, 0.15932124975399925f, -0.023213391447183443f,
                     0.10555292583854116f, 0.11982118497921661f, 0.13986352891826878f, 0.13962131611062784f};
  float a = min_(abs(x), 14.5f);
  // a² in two parts: what it is rounded by would show in the exponential.
  float square = a * a, rest = fma_rn(a, a, -square);
  float density = exp(-0.5f * square) * fma_rn(-0.5f, rest, 1.f);
  float t = 1 / fma_rn(0.35f, a, 1.f);
  float tail = density * (t * polynomial(t, c));
  return {x < 0 ? tail : 1 - tail, density, copysign(a, x)};
}

// gelu: 7 ulp; its slope: 3·10⁻⁷ of a function of size 1.
DEVICE float gelu(float x) {
  if (isnan(x)) return x;
  Normal n = normal(x);
  return n.x == x || x > 0 ? x * n.cdf : n.x * n.cdf;
}
DEVICE float gelu_slope(float x) {
  if (isnan(x)) return x;
  Normal n = normal(x);
  return fma_rn(n.x, n.density * 0.3989422804014327f, n.cdf);
}

// gelu_tanh and its slope: 6·10⁻⁷ of functions of size 1. Far out the angle's rounding shows in the exponential.
DEVICE float gelu_angle(float square) { return fma_rn(1.5957691216057308f * 0.044715f, square, 1.5957691216057308f); }
DEVICE float gelu_tanh(float x) { return x * sigmoid(x * gelu_angle(x * x)); }
DEVICE float gelu_tanh_slope(float x) {
  if (isnan(x)) return x;
  x = min_(max_(x, -20.f), 20.f); // from there on the sigmoid is 0 or 1
  float square = x * x, u = x * gelu_angle(square);
  float small = sigmoid(-abs(u)); // its digits are those of s·(1 − s), on either side
  float s = u < 0 ? small : 1 - small;
  return fma_rn(small - small * small, x * gelu_angle(3 * square), s);
}

// erf: 2.5 ulp.
DEVICE float erf(float x) {
  const float c[] = {7.875545765351228e-05f, -0.0008016773499810029f, 0.005189078110013981f, -0.026854207648140106f,
                     0.11283594623850285f, -0.3761262665983077f, 1.1283791658475242f};
  if (abs(x) < 1) return x * polynomial(x * x, c);
  if (isnan(x)) return x;
  float tail = 2 * normal(-1.4142135623730951f * abs(x)).cdf;
  return copysign(1 - tail, x);
}

} // namespace maths

#pragma clang fp contract(fast)
