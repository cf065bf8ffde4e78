// exp and what is made of it for kernels that are bound by computing it: cross-entropy reads two bytes for each.
#pragma once
#include "maths32.cuh"

// exp_ of float takes 2^x from the card's own instruction, of x·log₂e rounded, and puts what the rounding lost into a factor
// near 1: 2 ulp and what ex2.approx adds. Results below 2⁻¹²⁶ are 0.
DEVICE float exp_(float x) {
  x = x < -104 ? -104 : x; // NaN passes both
  x = x > 89 ? 89 : x;
  const float log2e = 0x1.715476p+0f, log2e_rest = 0x1.4ae0cp-26f, ln2 = 0x1.62e43p-1f;
  float t = x * log2e;
  float rest = fma_rn(x, log2e_rest, fma_rn(x, log2e, -t));
  return exp2_approx(t) * fma_rn(rest, ln2, 1.0f);
}
DEVICE double exp_(double x) { return maths::exp(x); }

// sigmoid is 1/(1 + exp(−x)).
DEVICE float sigmoid(float x) { return rcp_approx(1 + exp_(-x)); }
DEVICE double sigmoid(double x) { return maths::sigmoid(x); }
