// Several strided operands of one shape, visited together: the same layout as nest in nest.go, where the host drops and
// merges axes and puts the output's fastest one first.
#pragma once
#include "device.cuh"

// A Nest has fewer than 2³¹ elements, or vectors of elements. Axes are the innermost first; those beyond the rank have
// size 1 and strides 0. Kernels index its arrays by constants only: a parameter that is indexed by a variable would be
// copied to local memory.
template <i32 N> struct Nest {
  i32 rank;
  u32 count;   // what the kernel counts: elements, or vectors
  u32 inner;   // elements along the innermost axis, of which the last vector may hold fewer than the others
  u32 size[6];
  u32 magic[6], shift[6]; // to divide by the size
  struct {
    u8 *data;
    i64 strides[6]; // in elements; of vectors, from one vector to the next
    i32 dtype;
  } operands[N];

  // locate finds the i-th element, in row-major order: how far it is from each operand's first one. It returns the
  // position along the innermost axis. Quotients are those of Granlund and Montgomery (1994), figure 4.1.
  __device__ __attribute__((always_inline)) u32 locate(u32 i, i64 (&at)[N]) const {
    u32 first = 0;
#pragma unroll
    for (i32 k = 0; k < N; k++) at[k] = 0;
#pragma unroll
    for (i32 axis = 0; axis < 6; axis++) {
      if (axis >= rank) break;
      u32 q = 0, r = i;
      if (axis + 1 < rank) {
        q = (__nvvm_mulhi_ui(i, magic[axis]) + i) >> shift[axis];
        r = i - q * size[axis];
      }
      if (axis == 0) first = r;
#pragma unroll
      for (i32 k = 0; k < N; k++) at[k] += (i64)r * operands[k].strides[axis];
      i = q;
    }
    return first;
  }
};

// ---- elements of a dtype that is known at run time, in the type that they are computed in: float for F32, BF16 and F16,
// double for F64, i64 for integers and BOOL

template <class C> DEVICE C load_element(const u8 *data, i64 at, i32 dtype);
template <> __device__ __attribute__((always_inline)) inline float load_element<float>(const u8 *data, i64 at, i32 dtype) {
  switch (dtype) {
  case F32: return ((const float *)data)[at];
  case BF16: return widen(((const bf16 *)data)[at]);
  default: return widen(((const f16 *)data)[at]);
  }
}
template <> __device__ __attribute__((always_inline)) inline double load_element<double>(const u8 *data, i64 at, i32) {
  return ((const double *)data)[at];
}
template <> __device__ __attribute__((always_inline)) inline i64 load_element<i64>(const u8 *data, i64 at, i32 dtype) {
  switch (dtype) {
  case I32: return ((const i32 *)data)[at];
  case I64: return ((const i64 *)data)[at];
  default: return data[at];
  }
}

// load_converted is load_element, but doubles are of any float dtype.
template <class C> DEVICE C load_converted(const u8 *data, i64 at, i32 dtype) {
  if constexpr (sizeof(C) == 8 && (C)0.5 != 0) {
    if (dtype != F64) return load_element<float>(data, at, dtype);
  }
  return load_element<C>(data, at, dtype);
}

// store_element stores as one of the dtypes that are computed in the type of v.
DEVICE void store_element(u8 *data, i64 at, i32 dtype, float v) {
  switch (dtype) {
  case F32: ((float *)data)[at] = v; break;
  case BF16: ((bf16 *)data)[at] = narrow<bf16>(v); break;
  default: ((f16 *)data)[at] = narrow<f16>(v);
  }
}
DEVICE void store_element(u8 *data, i64 at, i32, double v) { ((double *)data)[at] = v; }
DEVICE void store_element(u8 *data, i64 at, i32 dtype, i64 v) {
  switch (dtype) {
  case I32: ((i32 *)data)[at] = (i32)v; break;
  case I64: ((i64 *)data)[at] = v; break;
  default: data[at] = (u8)v;
  }
}

// store_converted is store_element, but doubles go to any float dtype.
template <class C> DEVICE void store_converted(u8 *data, i64 at, i32 dtype, C v) {
  if constexpr (sizeof(C) == 8 && (C)0.5 != 0) {
    if (dtype != F64) return store_element(data, at, dtype, (float)v);
  }
  store_element(data, at, dtype, v);
}

// store_any converts to any dtype: floats to integers toward zero, and anything but 0 to true.
template <class C> DEVICE void store_any(u8 *data, i64 at, i32 dtype, C v) {
  switch (dtype) {
  case F64: ((double *)data)[at] = (double)v; break;
  case I32: ((i32 *)data)[at] = (i32)(i64)v; break;
  case I64: ((i64 *)data)[at] = (i64)v; break;
  case U8: data[at] = (u8)(i64)v; break;
  case BOOL: data[at] = v != 0; break;
  default: store_element(data, at, dtype, (float)v);
  }
}

// ---- vectors of 16 bytes

// load_vector widens `count` elements at p, which is aligned unless it repeats one element.
template <class T> DEVICE void load_vector(acc<T> *v, const T *p, bool repeats, i32 count) {
  constexpr i32 V = per16<T>;
  if (repeats) {
    acc<T> one = widen(*p);
#pragma unroll
    for (i32 k = 0; k < V; k++) v[k] = one;
  } else if (count >= V) {
    unpack16<T>(v, load16(p));
  } else {
#pragma unroll
    for (i32 k = 0; k < V; k++) v[k] = k < count ? widen(p[k]) : (acc<T>)0;
  }
}

template <class T> DEVICE void store_vector(T *p, const acc<T> *v, i32 count) {
  constexpr i32 V = per16<T>;
  if (count >= V) {
    store16(p, pack16<T>(v));
  } else {
#pragma unroll
    for (i32 k = 0; k < V; k++)
      if (k < count) p[k] = narrow<T>(v[k]);
  }
}

// ---- four elements: 16 bytes of F32, 8 of BF16 and F16

using u32x2 = u32 __attribute__((ext_vector_type(2)));

// load4 and store4 take `count` elements, of which 4 are aligned.
template <class T> DEVICE void load4(float *v, const T *p, i32 count = 4) {
  if (count < 4) {
#pragma unroll
    for (i32 k = 0; k < 4; k++) v[k] = k < count ? widen(p[k]) : 0;
  } else if constexpr (sizeof(T) == 4) {
    unpack16<T>(v, load16(p));
  } else {
    u32x2 w = *(const u32x2 *)p;
    v[0] = widen(T{(u16)w.x}), v[1] = widen(T{(u16)(w.x >> 16)});
    v[2] = widen(T{(u16)w.y}), v[3] = widen(T{(u16)(w.y >> 16)});
  }
}

template <class T> DEVICE void store4(T *p, const float *v, i32 count = 4) {
  if (count < 4) {
#pragma unroll
    for (i32 k = 0; k < 4; k++)
      if (k < count) p[k] = narrow<T>(v[k]);
  } else if constexpr (sizeof(T) == 4) {
    store16(p, pack16<T>(v));
  } else {
    auto pair = [](float x, float y) { return (u32)narrow<T>(y).raw << 16 | narrow<T>(x).raw; };
    *(u32x2 *)p = u32x2{pair(v[0], v[1]), pair(v[2], v[3])};
  }
}
