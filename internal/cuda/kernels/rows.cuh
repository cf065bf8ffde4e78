// What kernels over rows share: where the rows are, which threads work on one, and numbers of two precisions.
#pragma once
#include "device.cuh"

// Rows are rows of contiguous elements. Row i of a matrix of n·inner rows begins at
// (i / inner)·outer + (i mod inner)·stride: heads of tokens, or with inner = n·inner the rows of a plain matrix.
// The same layout as rowView in rows.go.
struct Rows {
  u8 *data;
  i64 outer, stride; // in elements

  template <class T> __device__ __attribute__((always_inline)) T *at(u32 row, u32 inner) const {
    u32 o = row / inner;
    return (T *)data + o * outer + (row - o * inner) * stride;
  }
};

// A Vector is numbers contiguous or not.
struct Vector {
  u8 *data;
  i64 stride; // in elements

  template <class T> __device__ __attribute__((always_inline)) T *at(u32 i) const { return (T *)data + i * stride; }
};

DEVICE u32 grid_blocks_y() { return __nvvm_read_ptx_sreg_nctaid_y(); }

// A Team is the threads that share a row: a warp, of which a block has several, or all of a block.
struct Team {
  u32 size, rank;   // threads of the team, and which of them this one is
  u32 index, count; // of the team in its block

  __device__ __attribute__((always_inline)) explicit Team(u32 size) : size(size) {
    bool warp = size == 32;
    rank = warp ? lane_index() : thread_index();
    index = warp ? warp_index() : 0;
    count = warp ? block_warps() : 1;
  }

  // reduce gives all threads the same bits. Every thread of the block calls it.
  template <class Op, class T> __device__ __attribute__((always_inline)) T reduce(T v, T *partial, T none) const {
    return size == 32 ? warp_reduce<Op>(v) : block_reduce<Op>(v, partial, none);
  }
  template <class T> __device__ __attribute__((always_inline)) T sum(T v, T *partial) const { return reduce<Sum>(v, partial, (T)0); }
  template <class T> __device__ __attribute__((always_inline)) T max(T v, T *partial) const { return reduce<Max>(v, partial, (T)-infinity); }
};

// BF16 and F32 are what training runs in: kernels load 16 bytes of them at once. Of the others only elements.
template <class T> constexpr bool fast = false;
template <> constexpr bool fast<float> = true;
template <> constexpr bool fast<bf16> = true;

// A thread holds this many elements of a row in registers, in vectors of 16 bytes that lie a team apart.
constexpr u32 held_elements = 32;
template <class T> constexpr u32 held_vectors = held_elements / per16<T>;

// held_at is the first element of vector k of a thread.
template <class T> DEVICE u32 held_at(const Team &team, u32 k) { return (k * team.size + team.rank) * per16<T>; }

// load_held loads a row of d elements, a multiple of a vector's. Beyond it there are zeros.
template <class T> DEVICE void load_held(v16 *to, const T *row, u32 d, const Team &team) {
#pragma unroll
  for (u32 k = 0; k < held_vectors<T>; k++) {
    u32 i = held_at<T>(team, k);
    to[k] = i < d ? load16(row + i) : v16{0, 0, 0, 0};
  }
}
