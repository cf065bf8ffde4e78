// What the optimizers share: four elements at a time, weights in their forms, and arithmetic that no compiler fuses, so that
// a step has the same bits on every card, and those of the CPU's kernels.
#pragma once
#include "device.cuh"

DEVICE float mul_rn(float x, float y) { return __nvvm_mul_rn_f(x, y); }
DEVICE float add_rn(float x, float y) { return __nvvm_add_rn_f(x, y); }
DEVICE float sub_rn(float x, float y) { return __nvvm_add_rn_f(x, -y); }

// one_minus is 1 − x·y in F64, rounded once.
DEVICE float one_minus(float x, float y) { return (float)(1 - (double)x * (double)y); }

constexpr i32 quad = 4;

// A Span is a quad's place: its first element, how many elements the arrays have, and whether whole quads are aligned to
// their size.
struct Span {
  i64 first, n;
  bool aligned;

  __device__ __attribute__((always_inline)) bool whole() const { return aligned && first + quad <= n; }
  __device__ __attribute__((always_inline)) bool has(i32 e) const { return first + e < n; }
};

struct alignas(8) u16x4 { u16 e[quad]; };
struct alignas(4) u8x4 { u8 e[quad]; };
template <class T> struct quad_of;
template <> struct quad_of<u16> { using type = u16x4; };
template <> struct quad_of<u8> { using type = u8x4; };

// load_raw and store_raw move the bits of 8- and 16-bit elements; what is beyond the last one is 0.
template <class T> DEVICE void load_raw(T *to, const T *from, Span at) {
  if (at.whole()) {
    auto q = *(const typename quad_of<T>::type *)(from + at.first);
#pragma unroll
    for (i32 e = 0; e < quad; e++) to[e] = q.e[e];
    return;
  }
#pragma unroll
  for (i32 e = 0; e < quad; e++) to[e] = at.has(e) ? from[at.first + e] : 0;
}
template <class T> DEVICE void store_raw(T *to, const T *from, Span at) {
  if (at.whole()) {
    typename quad_of<T>::type q;
#pragma unroll
    for (i32 e = 0; e < quad; e++) q.e[e] = from[e];
    *(typename quad_of<T>::type *)(to + at.first) = q;
    return;
  }
#pragma unroll
  for (i32 e = 0; e < quad; e++) {
    if (at.has(e)) to[at.first + e] = from[e];
  }
}

// The whole quads of floats are loaded by an instruction that the compiler cannot share with the path for single elements:
// it would take them apart.
DEVICE void load_quad(float *to, const float *from, Span at) {
  if (at.whole()) {
    asm volatile("ld.global.v4.f32 {%0,%1,%2,%3}, [%4];" : "=f"(to[0]), "=f"(to[1]), "=f"(to[2]), "=f"(to[3]) : "l"(from + at.first) : "memory");
    return;
  }
#pragma unroll
  for (i32 e = 0; e < quad; e++) to[e] = at.has(e) ? from[at.first + e] : 0;
}
DEVICE void store_quad(float *to, const float *from, Span at) {
  if (at.whole()) {
    asm volatile("st.global.v4.f32 [%4], {%0,%1,%2,%3};" ::"f"(from[0]), "f"(from[1]), "f"(from[2]), "f"(from[3]), "l"(to + at.first) : "memory");
    return;
  }
#pragma unroll
  for (i32 e = 0; e < quad; e++) {
    if (at.has(e)) to[at.first + e] = from[e];
  }
}
DEVICE void load_quad(float *to, const bf16 *from, Span at) {
  u16 raw[quad];
  load_raw(raw, (const u16 *)from, at);
#pragma unroll
  for (i32 e = 0; e < quad; e++) to[e] = widen(bf16{raw[e]});
}
DEVICE void store_quad(bf16 *to, const float *from, Span at) {
  u16 raw[quad];
#pragma unroll
  for (i32 e = 0; e < quad; e++) raw[e] = narrow<bf16>(from[e]).raw;
  store_raw((u16 *)to, raw, at);
}

// Floats are F32 or BF16.
struct Floats {
  void *data;
  i32 dtype;

  __device__ __attribute__((always_inline)) void load(float *to, Span at) const {
    if (dtype == BF16) {
      load_quad(to, (const bf16 *)data, at);
    } else {
      load_quad(to, (const float *)data, at);
    }
  }

  __device__ __attribute__((always_inline)) void store(const float *from, Span at) const {
    if (dtype == BF16) {
      store_quad((bf16 *)data, from, at);
    } else {
      store_quad((float *)data, from, at);
    }
  }
};

// Weights are F32 numbers in one of the forms of backend.AdamWState.
struct Weights {
  void *param;   // the weights converted, with remainder their upper halves, or all there is of them; or null
  float *master; // null with remainder, and where param is all there is
  u16 *remainder;
  i32 dtype; // of param

  // load is backend.JoinMaster where there are remainders.
  __device__ __attribute__((always_inline)) void load(float *to, Span at) const {
    if (!remainder) {
      if (master) {
        load_quad(to, master, at);
      } else {
        load_quad(to, (const bf16 *)param, at);
      }
      return;
    }
    u16 p[quad], r[quad];
    load_raw(p, (const u16 *)param, at);
    load_raw(r, remainder, at);
#pragma unroll
    for (i32 e = 0; e < quad; e++) {
      i32 magnitude = ((i32)(p[e] & 0x7fff) << 16) + (i16)r[e];
      to[e] = bits<float>((u32)max_(magnitude, 0) | (u32)(p[e] & 0x8000) << 16);
    }
  }

  // store is backend.SplitMaster where there are remainders.
  __device__ __attribute__((always_inline)) void store(const float *from, Span at) const {
    if (!remainder) {
      store_quad(master, from, at);
      if (param) store_converted(from, at);
      return;
    }
    u16 p[quad], r[quad];
#pragma unroll
    for (i32 e = 0; e < quad; e++) {
      u32 b = from[e] == from[e] ? bits<u32>(from[e]) : 0x7fc00000u;
      p[e] = (u16)((b + 0x8000) >> 16);
      r[e] = (u16)b;
    }
    store_raw((u16 *)param, p, at);
    store_raw(remainder, r, at);
  }

  __device__ __attribute__((always_inline)) void store_converted(const float *from, Span at) const {
    if (dtype == F64) {
#pragma unroll
      for (i32 e = 0; e < quad; e++) {
        if (at.has(e)) ((double *)param)[at.first + e] = from[e];
      }
      return;
    }
    u16 raw[quad];
#pragma unroll
    for (i32 e = 0; e < quad; e++) raw[e] = dtype == BF16 ? narrow<bf16>(from[e]).raw : narrow<f16>(from[e]).raw;
    store_raw((u16 *)param, raw, at);
  }
};
