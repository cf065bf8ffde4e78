// Random numbers by their place in a stream: the same integers on every device. See philox.go of package backend.
#include "maths32.cuh"
#include "nest.cuh"
#include "philox.cuh"
#pragma clang fp contract(off)

enum Dist : i32 { Bits, Uniform, Normal };

// box_muller turns two words into two standard normals, in F32: 3 ulp from the definition in F64. The angle is a multiple
// of 2⁻²⁴ turns, so that taking quarters from it is exact.
DEVICE void box_muller(u32 a, u32 b, float &first, float &second) {
  float radius = sqrt_rn(-2 * maths::log((float)((a >> 8) + 1) * 0x1p-24f));
  u32 turn = b >> 8;
  i32 quarter = (i32)((turn + (1u << 21)) >> 22);
  float rest = (float)((i32)turn - (quarter << 22)) * (0x1p-22f * 1.57079632679489662f);
  first = radius * maths::cos(maths::Angle32{rest, quarter});
  second = radius * maths::sin(maths::Angle32{rest, quarter});
}

// random draws the elements, of which the first one is element `base` of the whole: a thread has one block of the stream,
// four elements. low and scale are the bounds and the width of Uniform, or mean and deviation of Normal; high stays out.
KERNEL __launch_bounds__(256) random(Nest<1> n, i32 dist, float low, float scale, float high, float below_high, i64 base, u64 key, u64 counter) {
  i64 block = base / 4 + first_element();
  if (block * 4 >= base + n.count) return;
  u32 words[4];
  philox(words, counter + (u64)block, key);
  // The product is rounded before the sum, as on every device.
  float x[4];
  if (dist == Normal) {
    box_muller(words[0], words[1], x[0], x[1]);
    box_muller(words[2], words[3], x[2], x[3]);
  }
#pragma unroll
  for (i32 k = 0; k < 4; k++) {
    x[k] = (dist == Uniform ? (float)(words[k] >> 8) * 0x1p-24f : x[k]) * scale + low;
    if (dist == Uniform && x[k] >= high && low < high) x[k] = below_high;
  }
  u8 *out = n.operands[0].data;
  i32 dtype = n.operands[0].dtype;
  i64 first = block * 4 - base;
  if (dist != Bits && dtype != F64 && n.rank == 1 && n.operands[0].strides[0] == 1 && first >= 0 && first + 4 <= n.count) {
    if (dtype == F32 && aligned16((float *)out + first)) {
      store4((float *)out + first, x);
      return;
    }
    if (dtype != F32 && ((u64)((u16 *)out + first) & 7) == 0) {
      dtype == BF16 ? store4((bf16 *)out + first, x) : store4((f16 *)out + first, x);
      return;
    }
  }
#pragma unroll
  for (i32 k = 0; k < 4; k++) {
    i64 i = first + k;
    if (i < 0 || i >= n.count) continue;
    i64 at[1];
    n.locate((u32)i, at);
    if (dist != Bits) {
      store_converted(out, at[0], dtype, (double)x[k]);
    } else if (dtype == I32) {
      ((i32 *)out)[at[0]] = (i32)words[k];
    } else {
      ((i64 *)out)[at[0]] = (i32)words[k];
    }
  }
}
