// Setting memory, the first thing that every device must do.
#include "nest.cuh"

// fill_words sets n words of 1, 2, 4 or 8 bytes at out, contiguous, to the low bytes of value: 16 bytes at once from the
// first multiple of 16 on. Any grid does.
template <class T> DEVICE void fill(T *out, T value, i64 n) {
  constexpr i32 V = per16<T>;
  i64 head = min_((i64)((16 - ((u64)out & 15)) & 15) / (i64)sizeof(T), n);
  i64 vectors = (n - head) / V, tail = n - head - vectors * V;
  u64 pattern = value;
  if constexpr (sizeof(T) == 1) pattern *= 0x0101010101010101ull;
  if constexpr (sizeof(T) == 2) pattern *= 0x0001000100010001ull;
  if constexpr (sizeof(T) == 4) pattern *= 0x0000000100000001ull;
  v16 v{(u32)pattern, (u32)(pattern >> 32), (u32)pattern, (u32)(pattern >> 32)};
  for (i64 i = first_element(); i < vectors; i += element_stride()) store16(out + head + i * V, v);
  for (i64 i = first_element(); i < head; i += element_stride()) out[i] = value;
  for (i64 i = first_element(); i < tail; i += element_stride()) out[n - tail + i] = value;
}

KERNEL fill_words_u8(u8 *out, u64 value, i64 n) { fill<u8>(out, (u8)value, n); }
KERNEL fill_words_u16(u16 *out, u64 value, i64 n) { fill<u16>(out, (u16)value, n); }
KERNEL fill_words_u32(u32 *out, u64 value, i64 n) { fill<u32>(out, (u32)value, n); }
KERNEL fill_words_u64(u64 *out, u64 value, i64 n) { fill<u64>(out, (u64)value, n); }

// fill_view sets the words of any layout to value.
template <class T> DEVICE void fill_view(const Nest<1> &n, u64 value) {
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[1];
  n.locate(i, at);
  ((T *)n.operands[0].data)[at[0]] = (T)value;
}

KERNEL __launch_bounds__(256) fill_view_u8(Nest<1> n, u64 value) { fill_view<u8>(n, value); }
KERNEL __launch_bounds__(256) fill_view_u16(Nest<1> n, u64 value) { fill_view<u16>(n, value); }
KERNEL __launch_bounds__(256) fill_view_u32(Nest<1> n, u64 value) { fill_view<u32>(n, value); }
KERNEL __launch_bounds__(256) fill_view_u64(Nest<1> n, u64 value) { fill_view<u64>(n, value); }

// arange sets the elements, of which the first one is element `base` of the whole, to start + i·step in F64: the product
// is rounded before the sum, as on every device.
KERNEL __launch_bounds__(256) arange(Nest<1> n, double start, double step, i64 base) {
#pragma clang fp contract(off)
  u32 i = (u32)first_element();
  if (i >= n.count) return;
  i64 at[1];
  n.locate(i, at);
  double offset = (double)(base + i) * step;
  store_any(n.operands[0].data, at[0], n.operands[0].dtype, start + offset);
}
