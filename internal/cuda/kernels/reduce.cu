// Folds of axes: sums, extremes, products. The order in which elements are folded depends on shapes only: a task is a piece
// of a fold, cut by the host; the threads of its team take turns at the elements, then fold one another in a tree. Where a fold
// is more than one task, the results are folded by the same kernels again.
#include "functions.cuh"
#include "nest.cuh"

enum ReduceOp : i32 { ReduceSum, ReduceMax, ReduceMin, ReduceProd, ReduceArgMax, ReduceArgMin };

template <class A> DEVICE A combine(i32 op, A x, A y) {
  switch (op) {
  case ReduceSum: return x + y;
  case ReduceMax: return larger(x, y);
  case ReduceMin: return smaller(x, y);
  default: return x * y;
  }
}

// combine_team gives each lane the result of its team of a power of two of lanes.
template <class A> DEVICE A combine_team(i32 op, A v, i32 team) {
#pragma unroll 1
  for (i32 mask = team / 2; mask > 0; mask >>= 1) v = combine(op, v, shuffle_xor(v, mask));
  return v;
}

// combine_block gives the first warp the result of a block of 8 warps.
template <class A> DEVICE A combine_block(i32 op, A v, A none, A *partial) {
  v = combine_team(op, v, 32);
  if (lane_index() == 0) partial[warp_index()] = v;
  syncthreads();
  if (warp_index() == 0) v = combine_team(op, lane_index() < 8 ? partial[lane_index()] : none, 8);
  return v;
}

// What every fold is told. Element i of kept is where a result goes, and where what is folded into it begins in x; folded
// leads from there. A fold is cut into chunks; results go to out if there is one, and to partial otherwise.
struct Fold {
  i32 op;
  u32 chunks, chunk; // how many, and elements of each but the last
  i32 team;          // threads of a task, up to 32 in a power of two, or 256; rows only
  u8 *partial;       // A[kept][chunks] of rows, A[chunks][kept] of columns
};

// A Task is a chunk of one fold along rows, and the thread's place in its team. Teams beyond the last task do that one
// again, because all lanes of a warp take part in what follows, and store nothing.
struct Task {
  i64 number;
  u32 place;
  bool spare;

  __device__ Task(const Fold &f, u32 kept) {
    i64 tasks = (i64)kept * f.chunks;
    number = first_element() / f.team;
    place = (u32)(first_element() % f.team);
    spare = number >= tasks;
    if (spare) number = tasks - 1;
  }
};

// Any layout. Elements are folded as A, in F64 also those of other floats.
template <class A> DEVICE void reduce_rows(const Nest<2> &kept, const Nest<1> &folded, const Fold &f, A none, A *shared) {
  Task task(f, kept.count);
  u32 result = (u32)(task.number / f.chunks), first = (u32)(task.number % f.chunks) * f.chunk;
  u32 end = first + min_((i64)f.chunk, (i64)folded.count - first);
  i64 base[2];
  kept.locate(result, base);
  A v = none;
#pragma unroll 1
  for (u32 i = first + task.place; i < end; i += (u32)f.team) {
    i64 at[1];
    folded.locate(i, at);
    v = combine(f.op, v, load_converted<A>(kept.operands[1].data, base[1] + at[0], kept.operands[1].dtype));
  }
  v = f.team <= 32 ? combine_team(f.op, v, f.team) : combine_block(f.op, v, none, shared);
  if (task.place != 0 || task.spare) return;
  if (f.chunks > 1) {
    ((A *)f.partial)[task.number] = v;
  } else {
    store_converted(kept.operands[0].data, base[0], kept.operands[0].dtype, v);
  }
}

// Layouts whose kept axis is contiguous: a lane has a column, a warp every 8th row of a chunk.
template <class A> DEVICE void reduce_columns(const Nest<2> &kept, const Nest<1> &folded, const Fold &f, A none, A (*shared)[32]) {
  u32 tiles = (kept.inner + 31) / 32;
  u32 block = (u32)block_index();
  u32 chunk = block % f.chunks, column = block / f.chunks % tiles * 32 + (u32)lane_index();
  u32 result = block / f.chunks / tiles * kept.inner + column;
  u32 first = chunk * f.chunk;
  u32 end = first + min_((i64)f.chunk, (i64)folded.count - first);
  i64 base[2] = {0, 0};
  A v = none;
  if (column < kept.inner) {
    kept.locate(result, base);
#pragma unroll 1
    for (u32 i = first + (u32)warp_index(); i < end; i += 8) {
      i64 at[1];
      folded.locate(i, at);
      v = combine(f.op, v, load_converted<A>(kept.operands[1].data, base[1] + at[0], kept.operands[1].dtype));
    }
  }
  shared[warp_index()][lane_index()] = v;
  syncthreads();
  if (warp_index() != 0 || column >= kept.inner) return;
  v = shared[0][lane_index()];
#pragma unroll 1
  for (i32 w = 1; w < 8; w++) v = combine(f.op, v, shared[w][lane_index()]);
  if (f.chunks > 1) {
    ((A *)f.partial)[(i64)chunk * kept.count + result] = v;
  } else {
    store_converted(kept.operands[0].data, base[0], kept.operands[0].dtype, v);
  }
}

#define REDUCE(suffix, A)                                                                                                 \
  KERNEL __launch_bounds__(256) reduce_rows_##suffix(Nest<2> kept, Nest<1> folded, Fold f, A none) {                      \
    static __shared__ A shared[8];                                                                                        \
    reduce_rows<A>(kept, folded, f, none, shared);                                                                     \
  }                                                                                                                       \
  KERNEL __launch_bounds__(256) reduce_columns_##suffix(Nest<2> kept, Nest<1> folded, Fold f, A none) {                   \
    static __shared__ A shared[8][32];                                                                                    \
    reduce_columns<A>(kept, folded, f, none, shared);                                                                  \
  }
REDUCE(float, float)
REDUCE(f64, double)
REDUCE(integer, i64)

// ---- sums in F32 of F32 and BF16, 16 bytes a thread

// store_sum stores a sum of elements of T: as F32 or T, or, where they are partial sums in F32, as any dtype below.
template <class T> DEVICE void store_sum(u8 *data, i64 at, i32 dtype, float v) {
  if constexpr (sizeof(T) == 4) {
    store_element(data, at, dtype, v);
  } else if (dtype == F32) {
    ((float *)data)[at] = v;
  } else {
    ((T *)data)[at] = narrow<T>(v);
  }
}

// sum_rows is for rows that are contiguous, aligned and a multiple of 16 bytes. count is of vectors.
template <class T> DEVICE void sum_rows(const Nest<2> &kept, const Nest<1> &folded, const Fold &f, float *shared) {
  constexpr i32 V = per16<T>;
  Task task(f, kept.count);
  u32 first = (u32)(task.number % f.chunks) * f.chunk;
  u32 end = first + min_((i64)f.chunk, (i64)folded.count - first);
  i64 base[2];
  kept.locate((u32)(task.number / f.chunks), base);
  const T *x = (const T *)kept.operands[1].data + base[1];
  float acc[V] = {};
  for (u32 i = first + task.place; i < end; i += (u32)f.team) {
    float v[V];
    unpack16<T>(v, load16(x + (i64)i * V));
#pragma unroll
    for (i32 k = 0; k < V; k++) acc[k] += v[k];
  }
#pragma unroll
  for (i32 half = V / 2; half > 0; half /= 2) {
#pragma unroll
    for (i32 k = 0; k < V / 2; k++)
      if (k < half) acc[k] += acc[k + half];
  }
  float v = f.team <= 32 ? combine_team<float>(ReduceSum, acc[0], f.team) : combine_block<float>(ReduceSum, acc[0], 0, shared);
  if (task.place != 0 || task.spare) return;
  if (f.chunks > 1) {
    ((float *)f.partial)[task.number] = v;
  } else {
    store_sum<T>(kept.operands[0].data, base[0], kept.operands[0].dtype, v);
  }
}

// sum_columns is for columns in rows that are aligned: a lane has a vector of columns.
template <class T> DEVICE void sum_columns(const Nest<2> &kept, const Nest<1> &folded, const Fold &f, float *shared) {
  constexpr u32 V = per16<T>, width = 32 * V;
  u32 tiles = (kept.inner + width - 1) / width;
  u32 block = (u32)block_index();
  u32 chunk = block % f.chunks, tile = block / f.chunks % tiles * width;
  u32 column = tile + (u32)lane_index() * V, row = block / f.chunks / tiles * kept.inner;
  u32 first = chunk * f.chunk;
  u32 end = first + min_((i64)f.chunk, (i64)folded.count - first);
  float acc[V] = {};
  if (column < kept.inner) {
    i64 base[2];
    kept.locate(row + column, base);
    const T *x = (const T *)kept.operands[1].data + base[1];
    for (u32 i = first + (u32)warp_index(); i < end; i += 8) {
      i64 at[1];
      folded.locate(i, at);
      float v[V];
      load_vector<T>(v, x + at[0], false, (i32)(kept.inner - column));
#pragma unroll
      for (i32 k = 0; k < V; k++) acc[k] += v[k];
    }
  }
#pragma unroll
  for (i32 k = 0; k < V; k++) shared[(k * 8 + warp_index()) * 32 + lane_index()] = acc[k];
  syncthreads();
  // Thread t adds up the sums of the warps in column t of the tile.
  u32 t = (u32)thread_index();
  if (t >= width || tile + t >= kept.inner) return;
  float v = 0;
#pragma unroll
  for (u32 w = 0; w < 8; w++) v += shared[(t % V * 8 + w) * 32 + t / V];
  if (f.chunks > 1) {
    ((float *)f.partial)[(i64)chunk * kept.count + row + tile + t] = v;
  } else {
    i64 at[2];
    kept.locate(row + tile + t, at);
    store_sum<T>(kept.operands[0].data, at[0], kept.operands[0].dtype, v);
  }
}

#define SUM(suffix, T)                                                                                                    \
  KERNEL __launch_bounds__(256) sum_rows_##suffix(Nest<2> kept, Nest<1> folded, Fold f) {                                 \
    static __shared__ float shared[8];                                                                                    \
    sum_rows<T>(kept, folded, f, shared);                                                                                 \
  }                                                                                                                       \
  KERNEL __launch_bounds__(256) sum_columns_##suffix(Nest<2> kept, Nest<1> folded, Fold f) {                              \
    static __shared__ float shared[8 * 32 * per16<T>];                                                                    \
    sum_columns<T>(kept, folded, f, shared);                                                                              \
  }
SUM(f32, float)
SUM(bf16, bf16)

// ---- the places of extremes

// An Extreme is a number and its place; at is negative where there is none.
template <class C> struct Extreme {
  C value;
  i32 at;
};

// before says whether x comes before y: NaN before numbers, the more extreme number, the first of equals.
template <class C> DEVICE bool before(i32 op, Extreme<C> x, Extreme<C> y) {
  if (x.at < 0 || y.at < 0) return y.at < 0 && x.at >= 0;
  bool xNaN = x.value != x.value, yNaN = y.value != y.value;
  if (xNaN != yNaN) return xNaN;
  if (xNaN || x.value == y.value) return x.at < y.at;
  return op == ReduceArgMax ? x.value > y.value : x.value < y.value;
}

template <class C> DEVICE Extreme<C> first_of_warp(i32 op, Extreme<C> v) {
#pragma unroll 1
  for (i32 mask = 16; mask > 0; mask >>= 1) {
    Extreme<C> other = {shuffle_xor(v.value, mask), shuffle_xor(v.at, mask)};
    if (before(op, other, v)) v = other;
  }
  return v;
}

// arg_rows finds the place of the extreme element of each row of `length` elements: one block a row.
template <class C> DEVICE void arg_rows(const Nest<2> &kept, i32 op, i32 length, i64 stride, Extreme<C> *shared) {
  i64 base[2];
  kept.locate((u32)block_index(), base);
  Extreme<C> v = {0, -1};
#pragma unroll 1
  for (i32 i = thread_index(); i < length; i += 256) {
    Extreme<C> x = {load_element<C>(kept.operands[1].data, base[1] + i * stride, kept.operands[1].dtype), i};
    if (before(op, x, v)) v = x;
  }
  v = first_of_warp(op, v);
  if (lane_index() == 0) shared[warp_index()] = v;
  syncthreads();
  if (warp_index() != 0) return;
  v = {0, -1};
  if (lane_index() < 8) v = shared[lane_index()];
  v = first_of_warp(op, v);
  if (lane_index() == 0) {
    i32 place = max_(v.at, 0);
    if (kept.operands[0].dtype == I32) {
      ((i32 *)kept.operands[0].data)[base[0]] = place;
    } else {
      ((i64 *)kept.operands[0].data)[base[0]] = place;
    }
  }
}

#define ARG(suffix, C)                                                                                                    \
  KERNEL __launch_bounds__(256) arg_rows_##suffix(Nest<2> kept, i32 op, i32 length, i64 stride) {                         \
    static __shared__ Extreme<C> shared[8];                                                                               \
    arg_rows<C>(kept, op, length, stride, shared);                                                                        \
  }
ARG(float, float)
ARG(f64, double)
ARG(integer, i64)
