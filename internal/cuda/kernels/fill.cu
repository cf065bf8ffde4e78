// Setting memory, the first thing that every device must do.
#include "device.cuh"

// fill_words sets n words of 1, 2, 4 or 8 bytes at out, contiguous, to the low bytes of value. The grid covers n.
template <class T> DEVICE void fill(T *out, T value, i64 n) {
  for (i64 i = first_element(); i < n; i += element_stride()) out[i] = value;
}

KERNEL fill_words_u8(u8 *out, u64 value, i64 n) { fill<u8>(out, (u8)value, n); }
KERNEL fill_words_u16(u16 *out, u64 value, i64 n) { fill<u16>(out, (u16)value, n); }
KERNEL fill_words_u32(u32 *out, u64 value, i64 n) { fill<u32>(out, (u32)value, n); }
KERNEL fill_words_u64(u64 *out, u64 value, i64 n) { fill<u64>(out, (u64)value, n); }

// fill_view sets the n elements of a strided view of words to value.
template <class T> DEVICE void fill_view(const View &out, u64 value, u32 n) {
  for (i64 i = first_element(); i < n; i += element_stride()) *out.at<T>((u32)i) = (T)value;
}

KERNEL fill_view_u8(View out, u64 value, u32 n) { fill_view<u8>(out, value, n); }
KERNEL fill_view_u16(View out, u64 value, u32 n) { fill_view<u16>(out, value, n); }
KERNEL fill_view_u32(View out, u64 value, u32 n) { fill_view<u32>(out, value, n); }
KERNEL fill_view_u64(View out, u64 value, u32 n) { fill_view<u64>(out, value, n); }
