// RMSNorm: see norm.cuh.
#include "norm.cuh"

HELD(rmsnorm, f32, float, false)
HELD(rmsnorm, bf16, bf16, false)
ANY(rmsnorm, f32, float, false)
ANY(rmsnorm, bf16, bf16, false)
ANY(rmsnorm, f16, f16, false)
ANY(rmsnorm, f64, double, false)
