// The second half of sums over rows: the gradients of a norm's weights.
#include "rows.cuh"

// add_partials adds to each of d elements of out, which is of any float dtype, the sum of its column in a matrix
// [groups, pitch] of A. Of a block's 256 threads each eighth adds every eighth group, and the eight sums are added
// in their order.
template <class A> DEVICE void add_partials(Vector out, i32 dtype, const A *partials, u32 groups, u32 pitch, u32 d) {
  __shared__ A sums[8][32];
  u32 i = block_index() * 32 + lane_index(), part = warp_index();
  A sum = 0;
  if (i < d) {
    for (u32 g = part; g < groups; g += 8) sum += partials[(u64)g * pitch + i];
  }
  sums[part][lane_index()] = sum;
  syncthreads();
  if (part > 0 || i >= d) return;
#pragma unroll
  for (u32 p = 1; p < 8; p++) sum += sums[p][lane_index()];
  if constexpr (sizeof(A) == 8) {
    *out.at<double>(i) += sum;
  } else if (dtype == F32) {
    *out.at<float>(i) += sum;
  } else if (dtype == BF16) {
    *out.at<bf16>(i) = narrow<bf16>(widen(*out.at<bf16>(i)) + sum);
  } else {
    *out.at<f16>(i) = narrow<f16>(widen(*out.at<f16>(i)) + sum);
  }
}

KERNEL __launch_bounds__(256) add_partials_f32(Vector out, i32 dtype, const float *partials, u32 groups, u32 pitch, u32 d) { add_partials(out, dtype, partials, groups, pitch, d); }
KERNEL __launch_bounds__(256) add_partials_f64(Vector out, i32 dtype, const double *partials, u32 groups, u32 pitch, u32 d) { add_partials(out, dtype, partials, groups, pitch, d); }
