// The stable order of keys: a radix sort, least digit first (Satish, Harris and Garland 2009), of rows of keys with their
// places. A digit takes three kernels: how many of each there are in each tile, where those go, and moving them there.
// Nothing depends on which block is first.
#include "nest.cuh"

constexpr u32 digitBits = 8, digits = 1 << digitBits;
constexpr u32 tileRounds = 8, tile = 256 * tileRounds; // a thread has 8 keys of a tile

// A Pass is one digit of the keys [rows, n]. counts is [rows, digits, tiles].
struct Pass {
  u32 n, tiles;
  u32 shift;
};

template <class K> DEVICE u32 digit_of(K key, const Pass &pass) { return (u32)(key >> pass.shift) & (digits - 1); }

// A warp has 256 keys of a tile that follow one another, and each round the next 32.
DEVICE u32 key_index(u32 tile_index, u32 round) {
  return tile_index * tile + (u32)warp_index() * (32 * tileRounds) + round * 32 + (u32)lane_index();
}

template <class K> DEVICE void count(const K *keys, u32 *counts, const Pass &pass, u32 *shared) {
  u32 row = (u32)block_index() / pass.tiles, t = (u32)block_index() % pass.tiles;
  shared[thread_index()] = 0;
  syncthreads();
  keys += (i64)row * pass.n;
#pragma unroll 1
  for (u32 round = 0; round < tileRounds; round++) {
    u32 i = key_index(t, round);
    // Sums of integers are the same in any order.
    if (i < pass.n) asm volatile("red.shared.add.u32 [%0], 1;" ::"r"(shared_address(shared + digit_of(keys[i], pass))) : "memory");
  }
  syncthreads();
  counts[((i64)row * digits + thread_index()) * pass.tiles + t] = shared[thread_index()];
}

KERNEL __launch_bounds__(256) sort_count_u32(const u32 *keys, u32 *counts, Pass pass) {
  static __shared__ u32 shared[digits];
  count(keys, counts, pass, shared);
}
KERNEL __launch_bounds__(256) sort_count_u64(const u64 *keys, u32 *counts, Pass pass) {
  static __shared__ u32 shared[digits];
  count(keys, counts, pass, shared);
}

// sum_below is the sum of the values of the threads before this one in a block of 256.
DEVICE u32 sum_below(u32 v, u32 *shared) {
  u32 sum = v;
#pragma unroll
  for (i32 by = 1; by < 32; by *= 2) {
    u32 other = shuffle_up(sum, by);
    if (lane_index() >= by) sum += other;
  }
  if (lane_index() == 31) shared[warp_index()] = sum;
  syncthreads();
  u32 before = 0;
#pragma unroll
  for (i32 w = 0; w < 7; w++)
    if (w < warp_index()) before += shared[w];
  return before + sum - v;
}

// sort_starts turns the counts of a row into where the first key of each digit of each tile goes: one block a row.
KERNEL __launch_bounds__(256) sort_starts(u32 *counts, u32 tiles) {
  static __shared__ u32 shared[8];
  u32 *mine = counts + ((i64)block_index() * digits + thread_index()) * tiles;
  u32 total = 0;
#pragma unroll 1
  for (u32 t = 0; t < tiles; t++) total += mine[t];
  u32 start = sum_below(total, shared);
#pragma unroll 1
  for (u32 t = 0; t < tiles; t++) {
    u32 c = mine[t];
    mine[t] = start;
    start += c;
  }
}

// lanes_with is the lanes of a warp whose digit is this lane's.
DEVICE u32 lanes_with(u32 digit) {
  u32 mask;
  asm volatile("match.any.sync.b32 %0, %1, 0xffffffff;" : "=r"(mask) : "r"(digit));
  return mask;
}

// move puts the keys of a tile, and their places, where they belong, in the order in which they are.
template <class K>
DEVICE void move(const K *keys, const u32 *places, K *keys_to, u32 *places_to, const u32 *starts, const Pass &pass, u32 (*shared)[digits]) {
  u32 row = (u32)block_index() / pass.tiles, t = (u32)block_index() % pass.tiles;
  i64 base = (i64)row * pass.n;
  // Each warp counts the keys of each digit before each of its own.
  u32 *mine = shared[warp_index()];
#pragma unroll
  for (u32 d = 0; d < digits; d += 32) mine[d + lane_index()] = 0;
  syncwarp();
  u32 rank[tileRounds];
#pragma unroll
  for (u32 round = 0; round < tileRounds; round++) {
    u32 i = key_index(t, round);
    u32 digit = i < pass.n ? digit_of(keys[base + i], pass) : digits; // a digit that no key has
    u32 same = lanes_with(digit), below = same & ((1u << lane_index()) - 1);
    u32 before = digit < digits ? mine[digit] : 0;
    syncwarp();
    if (below == 0 && digit < digits) mine[digit] = before + (u32)__builtin_popcount(same);
    syncwarp();
    rank[round] = before + (u32)__builtin_popcount(below);
  }
  syncthreads();
  // Thread d: where the keys of digit d of each warp begin.
  u32 start = starts[((i64)row * digits + thread_index()) * pass.tiles + t];
#pragma unroll
  for (u32 w = 0; w < 8; w++) {
    u32 c = shared[w][thread_index()];
    shared[w][thread_index()] = start;
    start += c;
  }
  syncthreads();
#pragma unroll
  for (u32 round = 0; round < tileRounds; round++) {
    u32 i = key_index(t, round);
    if (i >= pass.n) continue;
    K key = keys[base + i];
    i64 to = base + mine[digit_of(key, pass)] + rank[round];
    keys_to[to] = key;
    places_to[to] = places[base + i];
  }
}

KERNEL __launch_bounds__(256) sort_move_u32(const u32 *keys, const u32 *places, u32 *keys_to, u32 *places_to, const u32 *starts, Pass pass) {
  static __shared__ u32 shared[8][digits];
  move(keys, places, keys_to, places_to, starts, pass, shared);
}
KERNEL __launch_bounds__(256) sort_move_u64(const u64 *keys, const u32 *places, u64 *keys_to, u32 *places_to, const u32 *starts, Pass pass) {
  static __shared__ u32 shared[8][digits];
  move(keys, places, keys_to, places_to, starts, pass, shared);
}

// ---- the order of rows of any dtype

// ordered makes the bits of floats ordered as the floats are: those of negative ones are turned around. −0 is 0, and NaN
// is larger than any number.
DEVICE u32 ordered(float v) {
  if (v != v) return 0xffffffffu;
  u32 b = bits<u32>(v + 0);
  return b ^ ((u32)((i32)b >> 31) | 1u << 31);
}
DEVICE u64 ordered(double v) {
  if (v != v) return ~0ull;
  u64 b = bits<u64>(v + 0);
  return b ^ ((u64)((i64)b >> 63) | 1ull << 63);
}

// sort_keys_… are the keys [rows, n] of the rows of x, and their places; flip is all ones for a descending order.
template <class C, class K> DEVICE void sort_keys(const Nest<1> &rows, u32 n, i64 stride, K *keys, u32 *places, K flip) {
  i64 i = first_element();
  if (i >= (i64)rows.count * n) return;
  u32 row = (u32)(i / n), place = (u32)(i % n);
  i64 at[1];
  rows.locate(row, at);
  C v = load_element<C>(rows.operands[0].data, at[0] + place * stride, rows.operands[0].dtype);
  K key;
  if constexpr ((C)0.5 == 0) {
    key = (K)v ^ (K)1 << (sizeof(K) * 8 - 1);
  } else {
    key = ordered(v);
  }
  keys[i] = key ^ flip;
  places[i] = place;
}

KERNEL __launch_bounds__(256) sort_keys_float(Nest<1> rows, u32 n, i64 stride, u32 *keys, u32 *places, u32 flip) {
  sort_keys<float, u32>(rows, n, stride, keys, places, flip);
}
KERNEL __launch_bounds__(256) sort_keys_f64(Nest<1> rows, u32 n, i64 stride, u64 *keys, u32 *places, u64 flip) {
  sort_keys<double, u64>(rows, n, stride, keys, places, flip);
}
KERNEL __launch_bounds__(256) sort_keys_integer(Nest<1> rows, u32 n, i64 stride, u32 *keys, u32 *places, u32 flip) {
  sort_keys<i64, u32>(rows, n, stride, keys, places, flip);
}
KERNEL __launch_bounds__(256) sort_keys_i64(Nest<1> rows, u32 n, i64 stride, u64 *keys, u32 *places, u64 flip) {
  sort_keys<i64, u64>(rows, n, stride, keys, places, flip);
}

// sort_first writes the first k places of each row of n.
KERNEL __launch_bounds__(256) sort_first(const u32 *places, i32 *out, i64 rows, u32 n, u32 k) {
  i64 i = first_element();
  if (i < rows * k) out[i] = (i32)places[i / k * n + i % k];
}
