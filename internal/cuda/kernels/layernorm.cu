// LayerNorm: see norm.cuh.
#include "norm.cuh"

HELD(layernorm, f32, float, true)
HELD(layernorm, bf16, bf16, true)
ANY(layernorm, f32, float, true)
ANY(layernorm, bf16, bf16, true)
ANY(layernorm, f16, f16, true)
ANY(layernorm, f64, double, true)
