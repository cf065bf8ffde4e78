// out[index[i],…] += x[i,…] in the order of i. The host sorts the index (sort.cu), so that what goes to one row of out lies
// together in order: a block owns a part of that row, and rounds it once.
#include "index.cuh"

// scatter_keys prepares the sort: an index out of range is reported and becomes the largest key.
KERNEL __launch_bounds__(256) scatter_keys(u32 *keys, u32 *places, Index index, u32 n, Fault *fault) {
  u32 i = (u32)first_element();
  if (i >= n) return;
  i64 row = row_of(index, i);
  if (row < 0) report_fault(fault, index.base + i, load_element<i64>(index.data, i, index.dtype));
  keys[i] = row < 0 ? (u32)index.limit : (u32)row;
  places[i] = i;
}

// Sorted is the index in order: places[p] is the position in the index of the p-th smallest key.
struct Sorted {
  const u32 *keys, *places;
  u32 n;
  u32 limit; // keys from here on are out of range
};

// run_of says whether position p is the first one of its key, which is in range.
DEVICE bool begins_run(const Sorted &s, u32 p) {
  u32 key = s.keys[p];
  return key < s.limit && (p == 0 || s.keys[p - 1] != key);
}

// scatter_add is for any layout: a block has 256 elements of a row.
template <class C> DEVICE void scatter_add(const Rows &rows, const Sorted &s, u32 tiles) {
  u32 p = (u32)block_index() / tiles, j = (u32)block_index() % tiles * 256 + (u32)thread_index();
  if (!begins_run(s, p) || j >= rows.nest.count) return;
  u32 key = s.keys[p];
  i64 at[2];
  rows.nest.locate(j, at);
  at[0] += key * rows.out;
  C sum = load_element<C>(rows.nest.operands[0].data, at[0], rows.nest.operands[0].dtype);
  for (; p < s.n && s.keys[p] == key; p++) {
    sum += load_element<C>(rows.nest.operands[1].data, at[1] + s.places[p] * rows.x, rows.nest.operands[1].dtype);
  }
  store_element(rows.nest.operands[0].data, at[0], rows.nest.operands[0].dtype, sum);
}

KERNEL __launch_bounds__(256) scatter_add_float(Rows rows, Sorted s, u32 tiles) { scatter_add<float>(rows, s, tiles); }
KERNEL __launch_bounds__(256) scatter_add_f64(Rows rows, Sorted s, u32 tiles) { scatter_add<double>(rows, s, tiles); }
KERNEL __launch_bounds__(256) scatter_add_integer(Rows rows, Sorted s, u32 tiles) { scatter_add<i64>(rows, s, tiles); }

// scatter_vectors is for rows that are contiguous, aligned and a multiple of 4 elements: a block has 1024 elements of a row,
// a thread twice 4 of them. count is of fours.
template <class O, class T> DEVICE void scatter_vectors(const Rows &rows, const Sorted &s, u32 tiles) {
  constexpr u32 threads = 128;
  u32 p = (u32)block_index() / tiles, j = (u32)block_index() % tiles * (2 * threads) + (u32)thread_index();
  if (!begins_run(s, p) || j >= rows.nest.count) return;
  u32 key = s.keys[p];
  bool both = j + threads < rows.nest.count;
  O *out = (O *)rows.nest.operands[0].data + key * rows.out + (i64)j * 4;
  const T *x = (const T *)rows.nest.operands[1].data + (i64)j * 4;
  float sum[8] = {};
  load4<O>(sum, out);
  if (both) load4<O>(sum + 4, out + 4 * threads);
  auto load = [&](float *v, u32 q) {
    const T *row = x + s.places[q] * rows.x;
    load4<T>(v, row);
    if (both) load4<T>(v + 4, row + 4 * threads);
  };
  auto add = [&](const float *v) {
#pragma unroll
    for (i32 k = 0; k < 8; k++) sum[k] += v[k];
  };
  // Of a long run four rows are on their way at once.
  float v[4][8] = {};
  for (; p + 3 < s.n && s.keys[p + 3] == key; p += 4) {
#pragma unroll
    for (u32 k = 0; k < 4; k++) load(v[k], p + k);
#pragma unroll
    for (u32 k = 0; k < 4; k++) add(v[k]);
  }
  for (; p < s.n && s.keys[p] == key; p++) {
    load(v[0], p);
    add(v[0]);
  }
  store4<O>(out, sum);
  if (both) store4<O>(out + 4 * threads, sum + 4);
}

KERNEL __launch_bounds__(128) scatter_vectors_f32_f32(Rows rows, Sorted s, u32 tiles) { scatter_vectors<float, float>(rows, s, tiles); }
KERNEL __launch_bounds__(128) scatter_vectors_f32_bf16(Rows rows, Sorted s, u32 tiles) { scatter_vectors<float, bf16>(rows, s, tiles); }
KERNEL __launch_bounds__(128) scatter_vectors_bf16_bf16(Rows rows, Sorted s, u32 tiles) { scatter_vectors<bf16, bf16>(rows, s, tiles); }
