// out = x: moving elements as they are, and converting them.
#include "nest.cuh"

// move_elements is for any layout, one element a thread.
template <class T> DEVICE void move_elements(const Nest<2> &n) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[2];
  n.locate(i, at);
  ((T *)n.operands[0].data)[at[0]] = ((const T *)n.operands[1].data)[at[1]];
}

KERNEL __launch_bounds__(256) move_elements_u8(Nest<2> n) { move_elements<u8>(n); }
KERNEL __launch_bounds__(256) move_elements_u16(Nest<2> n) { move_elements<u16>(n); }
KERNEL __launch_bounds__(256) move_elements_u32(Nest<2> n) { move_elements<u32>(n); }
KERNEL __launch_bounds__(256) move_elements_u64(Nest<2> n) { move_elements<u64>(n); }

// move_vectors is for contiguous rows, 16 bytes a thread.
template <class T> DEVICE void move_vectors(const Nest<2> &n) {
  constexpr i32 V = per16<T>;
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[2];
  i32 count = (i32)(n.inner - n.locate(i, at) * V);
  T *out = (T *)n.operands[0].data + at[0];
  const T *x = (const T *)n.operands[1].data + at[1];
  if (count >= V) {
    store16(out, load16(x));
  } else {
#pragma unroll 1
    for (i32 k = 0; k < count; k++) out[k] = x[k];
  }
}

KERNEL __launch_bounds__(256) move_vectors_u8(Nest<2> n) { move_vectors<u8>(n); }
KERNEL __launch_bounds__(256) move_vectors_u16(Nest<2> n) { move_vectors<u16>(n); }
KERNEL __launch_bounds__(256) move_vectors_u32(Nest<2> n) { move_vectors<u32>(n); }
KERNEL __launch_bounds__(256) move_vectors_u64(Nest<2> n) { move_vectors<u64>(n); }

// transpose copies matrices [height, width]: out is contiguous along a row, x along a column. A block has a tile of 32×32,
// which goes through shared memory so that both sides move whole rows of it; the column that is added keeps the 32
// threads that read a column of it in different banks. outer has the other axes.
struct Matrix {
  u32 height, width;
  u32 down, across;      // tiles
  i64 out_row, x_column; // strides
};

template <class T> DEVICE void transpose(const Nest<2> &outer, const Matrix &m, T (&tile)[32][33]) {
  u32 block = (u32)block_index();
  u32 column = block % m.across * 32, rest = block / m.across;
  u32 row = rest % m.down * 32;
  i64 at[2];
  outer.locate(rest / m.down, at);
  const T *x = (const T *)outer.operands[1].data + at[1];
  T *out = (T *)outer.operands[0].data + at[0];
  u32 lane = (u32)lane_index();
  for (u32 c = (u32)warp_index(); c < 32; c += 8) {
    if (row + lane < m.height && column + c < m.width) tile[c][lane] = x[(i64)(column + c) * m.x_column + row + lane];
  }
  syncthreads();
  for (u32 r = (u32)warp_index(); r < 32; r += 8) {
    if (row + r < m.height && column + lane < m.width) out[(i64)(row + r) * m.out_row + column + lane] = tile[lane][r];
  }
}

#define TRANSPOSE(name, T)                                              \
  KERNEL __launch_bounds__(256) name(Nest<2> outer, Matrix m) {         \
    static __shared__ T tile[32][33];                                   \
    transpose<T>(outer, m, tile);                                       \
  }
TRANSPOSE(transpose_u8, u8)
TRANSPOSE(transpose_u16, u16)
TRANSPOSE(transpose_u32, u32)
TRANSPOSE(transpose_u64, u64)

// convert is for any layout and pair of dtypes, one element a thread.
template <class C> DEVICE void convert(const Nest<2> &n) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[2];
  n.locate(i, at);
  C x = load_element<C>(n.operands[1].data, at[1], n.operands[1].dtype);
  store_any(n.operands[0].data, at[0], n.operands[0].dtype, x);
}

KERNEL __launch_bounds__(256) convert_float(Nest<2> n) { convert<float>(n); }
KERNEL __launch_bounds__(256) convert_f64(Nest<2> n) { convert<double>(n); }
KERNEL __launch_bounds__(256) convert_integer(Nest<2> n) { convert<i64>(n); }

// Between F32 and BF16, four elements a thread: 16 bytes on one side, 8 on the other.
template <class O, class T> DEVICE void convert_vectors(const Nest<2> &n) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[2];
  i32 count = (i32)(n.inner - n.locate(i, at) * 4);
  float v[4];
  load4<T>(v, (const T *)n.operands[1].data + at[1], count);
  store4<O>((O *)n.operands[0].data + at[0], v, count);
}

KERNEL __launch_bounds__(256) convert_vectors_f32_bf16(Nest<2> n) { convert_vectors<bf16, float>(n); }
KERNEL __launch_bounds__(256) convert_vectors_bf16_f32(Nest<2> n) { convert_vectors<float, bf16>(n); }
