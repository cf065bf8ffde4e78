// What products need beside their tiles: one thread for one element, which is right for every dtype, stride and
// alignment and the oracle of the rest; sums of slices; operands in lines that tensor cores can load.
#include "product.cuh"

template <class T> DEVICE void naive(const Product &g) {
  i64 i = first_element();
  if (i >= (i64)g.m * g.n) return;
  i32 row = i / g.n, col = i % g.n;
  Offsets at = offsets_of(g.batch, g.firstMatrix);
  i64 xk = g.flags & X_ALONG_K ? 1 : g.xStride, yk = g.flags & Y_ALONG_K ? 1 : g.yStride;
  const T *x = (const T *)g.x + at.x + row * (g.flags & X_ALONG_K ? g.xStride : 1);
  const T *y = (const T *)g.y + at.y + col * (g.flags & Y_ALONG_K ? g.yStride : 1);
  acc<T> sum = 0;
  for (i32 k = 0; k < g.k; k++) sum = fma_rn(widen(x[k * xk]), widen(y[k * yk]), sum);
  finish<T>(g, g.out + at.out * (g.flags & OUT_F32 ? 4 : sizeof(T)), row, col, sum);
}

KERNEL naive_matmul_f32(Product g) { naive<float>(g); }
KERNEL naive_matmul_f64(Product g) { naive<double>(g); }
KERNEL naive_matmul_bf16(Product g) { naive<bf16>(g); }
KERNEL naive_matmul_f16(Product g) { naive<f16>(g); }

// sum_slices adds the slices of k, which lie in F32 at g.x, one after the other: sums [slice][batch][m][n].
template <class T> DEVICE void sum_slices(const Product &g, i32 slices) {
  const float *from = (const float *)g.x + (i64)(g.firstMatrix + block_index_z()) * g.m * g.n;
  u8 *out = g.out + offsets_of(g.batch, g.firstMatrix).out * (g.flags & OUT_F32 ? 4 : sizeof(T));
  if (g.flags & VECTOR) {
    i64 i = first_element() * 4;
    if (i >= (i64)g.m * g.n) return;
    float sum[1][4], v[4];
    load4<float>(sum[0], from + i);
#pragma unroll 4
    for (i32 s = 1; s < slices; s++) {
      load4<float>(v, from + s * g.sliceStride + i);
#pragma unroll
      for (i32 e = 0; e < 4; e++) sum[0][e] += v[e];
    }
    finish4<T, 1, 1>(g, out, i / g.n, i % g.n, sum);
  } else {
    i64 i = first_element();
    if (i >= (i64)g.m * g.n) return;
    float sum = from[i];
    for (i32 s = 1; s < slices; s++) sum += from[s * g.sliceStride + i];
    finish<T>(g, out, i / g.n, i % g.n, sum);
  }
}

KERNEL sum_slices_f32(Product g, i32 slices) { sum_slices<float>(g, slices); }
KERNEL sum_slices_bf16(Product g, i32 slices) { sum_slices<bf16>(g, slices); }
KERNEL sum_slices_f16(Product g, i32 slices) { sum_slices<f16>(g, slices); }

// align_lines copies matrices of so many lines of 16-bit elements from x to out.
KERNEL align_lines(u16 *out, const u16 *x, i64 outStride, i64 xStride, i32 lines, i32 length, i32 firstMatrix, Batch batch) {
  i64 i = first_element();
  if (i >= (i64)lines * length) return;
  Offsets at = offsets_of(batch, firstMatrix);
  out[at.out + i / length * outStride + i % length] = x[at.x + i / length * xStride + i % length];
}
