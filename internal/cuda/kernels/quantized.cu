// Weights in blocks of 32 with a scale, in the formats of package quant: Q8_0 and Q4_0. Blocks are 34 or 18 bytes long and
// begin at any byte.
#include "rows.cuh"

constexpr u32 block_weights = 32;
template <bool Four> constexpr u32 block_bytes = Four ? 18 : 34;

DEVICE float load_float(const void *p, i32 dtype, i64 i) {
  if (dtype == F32) return ((const float *)p)[i];
  return dtype == BF16 ? widen(((const bf16 *)p)[i]) : widen(((const f16 *)p)[i]);
}
DEVICE void store_float(void *p, i32 dtype, i64 i, float v) {
  if (dtype == F32) {
    ((float *)p)[i] = v;
  } else if (dtype == BF16) {
    ((bf16 *)p)[i] = narrow<bf16>(v);
  } else {
    ((f16 *)p)[i] = narrow<f16>(v);
  }
}

struct Later { static __device__ u64 of(u64 x, u64 y) { return x > y ? x : y; } };

// quantize makes a block of a warp's 32 numbers, to the bit as quant.Quantize does.
template <bool Four> DEVICE void quantize(u8 *out, const void *x, i32 dtype, u32 blocks) {
  u32 lane = lane_index(), block = block_index() * block_warps() + warp_index();
  if (block >= blocks) return;
  float v = load_float(x, dtype, (i64)block * block_weights + lane);
  // The first number of the largest magnitude; one that is no number is larger than any.
  u32 magnitude = bits<u32>(v) & 0x7fffffff;
  u64 key = warp_reduce<Later>((u64)magnitude << 32 | (31 - lane));
  float far = shuffle(v, 31 - (i32)(key & 31));
  u32 largest = (u32)(key >> 32);
  if (largest == 0) far = 0;
  bool broken = largest >= 0x7f800000u;
  float d = Four ? div_rn(far, -8.0f) : div_rn(__builtin_fabsf(far), 127.0f);
  float scale = div_rn(1.0f, d);
  if (broken || !(__builtin_fabsf(scale) <= 0x1.fffffep127f)) scale = 0;
  float y = __nvvm_mul_rn_f(v, scale);
  u8 *to = out + (i64)block * block_bytes<Four>;
  if (lane < 2) {
    u16 raw = broken ? 0x7e00 : narrow<f16>(d).raw;
    to[lane] = (u8)(raw >> (8 * lane));
  }
  if (Four) {
    i32 q = scale == 0 ? 8 : min_((i32)__nvvm_add_rn_f(y, 8.5f), 15);
    i32 upper = shuffle(q, (i32)(lane + 16) & 31);
    if (lane < 16) to[2 + lane] = (u8)(q | upper << 4);
  } else {
    float whole = __builtin_truncf(y); // half away from zero
    if (__builtin_fabsf(y - whole) >= 0.5f) whole += y < 0 ? -1 : 1;
    to[2 + lane] = scale == 0 ? 0 : (u8)(i32)whole;
  }
}

// scale_of is a block's scale.
DEVICE float scale_of(const u8 *block) { return widen(f16{(u16)(block[0] | block[1] << 8)}); }

template <bool Four> DEVICE void dequantize(void *out, i32 dtype, const u8 *x, i64 n) {
  for (i64 i = first_element(); i < n; i += element_stride()) {
    const u8 *block = x + i / block_weights * block_bytes<Four>;
    u32 j = i % block_weights;
    i32 q = Four ? (block[2 + j % 16] >> (j / 16 * 4) & 15) - 8 : (i8)block[2 + j];
    store_float(out, dtype, i, q * scale_of(block));
  }
}

KERNEL __launch_bounds__(256) quantize_q8_0(u8 *out, const void *x, i32 dtype, u32 blocks) { quantize<false>(out, x, dtype, blocks); }
KERNEL __launch_bounds__(256) quantize_q4_0(u8 *out, const void *x, i32 dtype, u32 blocks) { quantize<true>(out, x, dtype, blocks); }
KERNEL __launch_bounds__(256) dequantize_q8_0(void *out, i32 dtype, const u8 *x, i64 n) { dequantize<false>(out, dtype, x, n); }
KERNEL __launch_bounds__(256) dequantize_q4_0(void *out, i32 dtype, const u8 *x, i64 n) { dequantize<true>(out, dtype, x, n); }

// ---- products of few rows, as in decoding: bound by reading the weights

// A block multiplies M rows of x by up to most_rows rows of weights a warp, a part of their columns at a time. Of it, x lies
// in shared memory as F32; each warp loads its weights there with the widest loads that their address allows, and
// takes them apart.
template <u32 M> constexpr u32 most_rows = M == 1 ? 8 : 4;
constexpr u32 gemv_warps = 8;
constexpr u32 part_blocks = 16; // of a row of weights at a time

template <u32 M> constexpr u32 x_blocks = M == 1 ? 64 : 128 / M; // blocks of columns of x in shared memory

struct Gemv {
  u8 *out;
  i64 out_stride;
  const u8 *x;
  i64 x_stride;
  const u8 *w;
  i32 out_dtype, x_dtype;
  u32 m, n, blocks; // rows of x and of w, and blocks of a row
  u32 rows;         // of w a warp
  u32 accumulate;
};

// load_part copies bytes from global to shared memory, where they keep their place within 16 bytes.
DEVICE void load_part(u8 *to, const u8 *from, u32 bytes) {
  u32 lane = lane_index();
  if (aligned16(from) && bytes % 16 == 0) {
    for (u32 i = lane * 16; i < bytes; i += 512) store16(to + i, load16(from + i));
  } else if (((u64)from & 1) == 0) {
    for (u32 i = lane * 2; i < bytes; i += 64) *(u16 *)(to + i) = *(const u16 *)(from + i);
  } else {
    for (u32 i = lane; i < bytes; i += 32) to[i] = from[i];
  }
}

template <bool Four, u32 M> DEVICE void multiply(const Gemv &p) {
  constexpr u32 bytes = block_bytes<Four>, R = most_rows<M>;
  constexpr u32 lanes = Four ? 8 : 16; // for a block, two bytes each
  __shared__ float xs[M][x_blocks<M> * block_weights];
  __shared__ v16 parts[gemv_warps][R][part_blocks * bytes / 16];
  u32 lane = lane_index(), pair = 2 * (lane % lanes);
  u32 first = (block_index() * gemv_warps + warp_index()) * p.rows, last = first + p.rows;
  last = last < p.n ? last : p.n;
  v16(*part)[part_blocks * bytes / 16] = parts[warp_index()];
  float sums[R][M] = {};
  for (u32 at = 0; at < p.blocks; at += x_blocks<M>) {
    u32 here = p.blocks - at;
    here = here < x_blocks<M> ? here : x_blocks<M>;
    syncthreads();
    for (u32 i = thread_index(); i < M * here * block_weights; i += block_threads()) {
      u32 row = i / (here * block_weights), column = i - row * here * block_weights;
      xs[row][column] = row < p.m ? load_float(p.x, p.x_dtype, row * p.x_stride + at * block_weights + column) : 0;
    }
    syncthreads();
    for (u32 b = 0; b < here; b += part_blocks) {
      u32 count = here - b < part_blocks ? here - b : part_blocks;
      if (x_blocks<M> > part_blocks) syncwarp(); // the lanes are done with the part before
#pragma unroll 1
      for (u32 r = 0; first + r < last; r++) load_part((u8 *)part[r], p.w + ((i64)(first + r) * p.blocks + at + b) * bytes, count * bytes);
      syncwarp();
      for (u32 k = lane / lanes; k < count; k += 32 / lanes) {
        const float *x = xs[0] + (b + k) * block_weights + pair;
#pragma unroll
        for (u32 r = 0; r < R; r++) {
          if (first + r >= last) break;
          const u8 *block = (const u8 *)part[r] + k * bytes;
          float d = widen(f16{*(const u16 *)block});
          u32 q = *(const u16 *)(block + 2 + pair);
#pragma unroll
          for (u32 m = 0; m < M; m++) {
            const float *at = x + m * x_blocks<M> * block_weights;
            float s;
            if (Four) {
              s = ((i32)(q & 15) - 8) * at[0] + ((i32)(q >> 8 & 15) - 8) * at[1] + ((i32)(q >> 4 & 15) - 8) * at[16] + ((i32)(q >> 12) - 8) * at[17];
            } else {
              s = (i8)q * at[0] + (i8)(q >> 8) * at[1];
            }
            sums[r][m] = fma_rn(d, s, sums[r][m]);
          }
        }
      }
    }
  }
  float mine = 0; // lane r·M + m takes that sum
#pragma unroll
  for (u32 i = 0; i < R * M; i++) {
    float sum = warp_sum(sums[i / M][i % M]);
    if (lane == i) mine = sum;
  }
  u32 r = lane / M, m = lane % M;
  if (r >= R || m >= p.m || first + r >= last) return;
  i64 at = m * p.out_stride + first + r;
  store_float(p.out, p.out_dtype, at, p.accumulate ? load_float(p.out, p.out_dtype, at) + mine : mine);
}

// Two blocks fit on a multiprocessor: told nothing, ptxas makes room for more and spills.
#define MULTIPLY(suffix, four, M) KERNEL __launch_bounds__(256, 2) multiply_##suffix(Gemv p) { multiply<four, M>(p); }

MULTIPLY(q8_0_1, false, 1)
MULTIPLY(q8_0_4, false, 4)
MULTIPLY(q8_0_8, false, 8)
MULTIPLY(q4_0_1, true, 1)
MULTIPLY(q4_0_4, true, 4)
MULTIPLY(q4_0_8, true, 8)
