// Rows that are found by an index.
#pragma once
#include "nest.cuh"

// An Index is I32 or I64, contiguous. Its values count along an axis of `limit`.
struct Index {
  const u8 *data;
  i64 limit;
  i32 dtype;
  u32 base; // the position of the first one in the index that the caller gave
};

// row_of is the value at a position, −1 where it is out of range.
DEVICE i64 row_of(const Index &index, u32 i) {
  i64 row = load_element<i64>(index.data, i, index.dtype);
  return row >= 0 && row < index.limit ? row : -1;
}

// Rows are the axes after the first one of two operands, and how far rows of each are apart, in elements.
struct Rows {
  Nest<2> nest;
  i64 out, x;
  u32 magic, shift; // to divide by the number of elements, or vectors, of a row

  // row is which row element j of all is in; j becomes its place there.
  __device__ __attribute__((always_inline)) u32 row(u32 &j) const {
    u32 i = (__nvvm_mulhi_ui(j, magic) + j) >> shift;
    j -= i * nest.count;
    return i;
  }
};
