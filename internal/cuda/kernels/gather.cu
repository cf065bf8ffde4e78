// out[i,…] = x[index[i],…].
#include "index.cuh"

// gather copies elements, or with V > 1 vectors of 16 bytes, of which rows have a whole number, one a thread. An index out of range is reported, and its row
// left as it is.
template <class T, i32 V> DEVICE void gather(const Rows &rows, const Index &index, u32 count, Fault *fault) {
  u32 j = (u32)first_element();
  if (j >= count) return;
  u32 i = rows.row(j);
  i64 from = row_of(index, i);
  if (from < 0) {
    if (j == 0) report_fault(fault, index.base + i, load_element<i64>(index.data, i, index.dtype));
    return;
  }
  i64 at[2];
  rows.nest.locate(j, at);
  T *out = (T *)rows.nest.operands[0].data + i * rows.out + at[0];
  const T *x = (const T *)rows.nest.operands[1].data + from * rows.x + at[1];
  if constexpr (V > 1) {
    store16(out, load16(x));
  } else {
    *out = *x;
  }
}

#define GATHER(name, T, V) \
  KERNEL __launch_bounds__(256) name(Rows rows, Index index, u32 count, Fault *fault) { gather<T, V>(rows, index, count, fault); }
GATHER(gather_elements_u8, u8, 1)
GATHER(gather_elements_u16, u16, 1)
GATHER(gather_elements_u32, u32, 1)
GATHER(gather_elements_u64, u64, 1)
GATHER(gather_vectors_u8, u8, 16)
GATHER(gather_vectors_u16, u16, 8)
GATHER(gather_vectors_u32, u32, 4)
GATHER(gather_vectors_u64, u64, 2)
