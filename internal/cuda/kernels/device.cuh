// The device side of CUDA C without an SDK: what clang needs to compile the kernels of this folder to PTX,
// and the few primitives that they share. Names are CUDA's own where it has one.
//
// Sources: CUDA C++ Programming Guide 12 (qualifiers, special registers), PTX ISA 7.0 (every instruction below).
#pragma once

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i8 = signed char;
using i16 = short;
using i32 = int;
using i64 = long long;

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __attribute__((always_inline)) inline

// ---- threads

// Threads are counted along x only; blocks along x, y and z.
DEVICE i32 thread_index() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE i32 block_threads() { return __nvvm_read_ptx_sreg_ntid_x(); }
DEVICE i32 block_index() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE i32 block_index_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE i32 block_index_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEVICE i32 grid_blocks() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE i32 lane_index() { return thread_index() & 31; }
DEVICE i32 warp_index() { return thread_index() >> 5; }
DEVICE i32 block_warps() { return (block_threads() + 31) >> 5; }

// Elements of a grid-stride loop: for (i64 i = first_element(); i < n; i += element_stride()).
DEVICE i64 first_element() { return (i64)block_index() * block_threads() + thread_index(); }
DEVICE i64 element_stride() { return (i64)grid_blocks() * block_threads(); }

DEVICE void syncthreads() { __syncthreads(); }
DEVICE void syncwarp() { __nvvm_bar_warp_sync(0xffffffffu); }

// ---- bits

template <class To, class From> DEVICE To bits(From x) {
  static_assert(sizeof(To) == sizeof(From), "bits keeps the size");
  return __builtin_bit_cast(To, x);
}

// ---- warp shuffles: all 32 lanes take part

// by_words moves a value of 4 or 8 bytes, 4 at a time.
template <class T, class Move> DEVICE T by_words(T v, Move move) {
  if constexpr (sizeof(T) == 8) {
    u64 b = bits<u64>(v);
    u32 lo = move((u32)b), hi = move((u32)(b >> 32));
    return bits<T>((u64)hi << 32 | lo);
  } else {
    return bits<T>((u32)move(bits<u32>(v)));
  }
}

template <class T> DEVICE T shuffle_xor(T v, i32 mask) {
  return by_words(v, [=](u32 word) { return __nvvm_shfl_sync_bfly_i32(0xffffffffu, word, mask, 31); });
}

template <class T> DEVICE T shuffle(T v, i32 lane) {
  return by_words(v, [=](u32 word) { return __nvvm_shfl_sync_idx_i32(0xffffffffu, word, lane, 31); });
}

// shuffle_up is the value of the lane `by` places below, and a lane's own where there is none.
template <class T> DEVICE T shuffle_up(T v, i32 by) {
  return by_words(v, [=](u32 word) { return __nvvm_shfl_sync_up_i32(0xffffffffu, word, by, 0); });
}

// ---- numbers

DEVICE float exp2_approx(float x) { float r; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
DEVICE float log2_approx(float x) { float r; asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
DEVICE float rsqrt_approx(float x) { float r; asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
DEVICE float rcp_approx(float x) { float r; asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
DEVICE float sqrt_rn(float x) { float r; asm("sqrt.rn.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
DEVICE double sqrt_rn(double x) { double r; asm("sqrt.rn.f64 %0, %1;" : "=d"(r) : "d"(x)); return r; }
DEVICE float div_rn(float x, float y) { float r; asm("div.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); return r; }
DEVICE double div_rn(double x, double y) { double r; asm("div.rn.f64 %0, %1, %2;" : "=d"(r) : "d"(x), "d"(y)); return r; }
DEVICE float fma_rn(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
DEVICE double fma_rn(double x, double y, double z) { return __builtin_fma(x, y, z); }

// max_ and min_ give the number where one operand is NaN (PTX max and min); max_nan gives NaN.
DEVICE float max_(float x, float y) { return __builtin_fmaxf(x, y); }
DEVICE double max_(double x, double y) { return __builtin_fmax(x, y); }
DEVICE float min_(float x, float y) { return __builtin_fminf(x, y); }
DEVICE double min_(double x, double y) { return __builtin_fmin(x, y); }
DEVICE i32 max_(i32 x, i32 y) { return x > y ? x : y; }
DEVICE i32 min_(i32 x, i32 y) { return x < y ? x : y; }
DEVICE i64 max_(i64 x, i64 y) { return x > y ? x : y; }
DEVICE i64 min_(i64 x, i64 y) { return x < y ? x : y; }
DEVICE float max_nan(float x, float y) { float r; asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); return r; }

constexpr float infinity = __builtin_inff();

// ---- BF16 and F16 are storage: types of their own, so that no arithmetic happens in them

struct bf16 { u16 raw; };
struct f16 { u16 raw; };

template <class T> struct accumulator { using type = float; };
template <> struct accumulator<double> { using type = double; };
template <class T> using acc = typename accumulator<T>::type;

DEVICE float widen(float x) { return x; }
DEVICE double widen(double x) { return x; }
DEVICE float widen(bf16 x) { return bits<float>((u32)x.raw << 16); }
DEVICE float widen(f16 x) { float r; asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x.raw)); return r; }

// narrow<T> rounds to nearest even.
template <class T> struct narrowing;
template <> struct narrowing<float> {
  static __device__ float from(float x) { return x; }
  static __device__ float from(double x) { return (float)x; }
};
template <> struct narrowing<double> { static __device__ double from(double x) { return x; } };
template <> struct narrowing<bf16> {
  static __device__ bf16 from(float x) { bf16 r; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r.raw) : "f"(x)); return r; }
};
template <> struct narrowing<f16> {
  static __device__ f16 from(float x) { f16 r; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r.raw) : "f"(x)); return r; }
};
template <class T, class A> DEVICE T narrow(A x) { return narrowing<T>::from(x); }

// pack_bf16 rounds two numbers to BF16; the first one lies at the lower address.
DEVICE u32 pack_bf16(float first, float second) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(second), "f"(first));
  return r;
}
DEVICE float unpack_low(u32 pair) { return bits<float>(pair << 16); }
DEVICE float unpack_high(u32 pair) { return bits<float>(pair & 0xffff0000u); }

// ---- 16 bytes at once

struct alignas(16) v16 { u32 x, y, z, w; };

template <class T> constexpr i32 per16 = 16 / sizeof(T); // elements in a v16

DEVICE bool aligned16(const void *p) { return ((u64)p & 15) == 0; }
// They go through a vector type: the compiler may take a struct apart into four accesses.
using u32x4 = u32 __attribute__((ext_vector_type(4)));
DEVICE v16 load16(const void *p) {
  u32x4 v = *(const u32x4 *)p;
  return v16{v.x, v.y, v.z, v.w};
}
DEVICE void store16(void *p, v16 v) { *(u32x4 *)p = u32x4{v.x, v.y, v.z, v.w}; }

// unpack16 widens the elements of a v16, pack16 rounds them back. They are unrolled, so that the arrays stay in
// registers.
template <class T> DEVICE void unpack16(acc<T> *to, v16 v) {
  const u32 w[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (i32 i = 0; i < 4; i++) {
    if constexpr (sizeof(T) == 2) {
      to[2 * i] = widen(T{(u16)w[i]});
      to[2 * i + 1] = widen(T{(u16)(w[i] >> 16)});
    } else if constexpr (sizeof(T) == 4) {
      to[i] = bits<float>(w[i]);
    } else if (i % 2 == 0) {
      to[i / 2] = bits<double>((u64)w[i + 1] << 32 | w[i]);
    }
  }
}

template <class T> DEVICE v16 pack16(const acc<T> *from) {
  u32 w[4];
#pragma unroll
  for (i32 i = 0; i < 4; i++) {
    if constexpr (sizeof(T) == 2) {
      w[i] = (u32)narrow<T>(from[2 * i + 1]).raw << 16 | narrow<T>(from[2 * i]).raw;
    } else if constexpr (sizeof(T) == 4) {
      w[i] = bits<u32>((float)from[i]);
    } else {
      w[i] = (u32)(bits<u64>((double)from[i / 2]) >> (i % 2 * 32));
    }
  }
  return v16{w[0], w[1], w[2], w[3]};
}
template <> __device__ inline v16 pack16<bf16>(const float *from) {
  return v16{pack_bf16(from[0], from[1]), pack_bf16(from[2], from[3]), pack_bf16(from[4], from[5]), pack_bf16(from[6], from[7])};
}

// ---- reductions whose order depends on nothing but the number of threads

struct Sum { template <class T> static __device__ T of(T x, T y) { return x + y; } };
struct Max { template <class T> static __device__ T of(T x, T y) { return max_(x, y); } };

// warp_reduce gives every lane the same bits: the butterfly adds the same two numbers in both lanes of a pair.
template <class Op, class T> DEVICE T warp_reduce(T v) {
#pragma unroll
  for (i32 mask = 16; mask > 0; mask >>= 1) v = Op::of(v, shuffle_xor(v, mask));
  return v;
}
template <class T> DEVICE T warp_sum(T v) { return warp_reduce<Sum>(v); }
template <class T> DEVICE T warp_max(T v) { return warp_reduce<Max>(v); }

// block_reduce gives every thread of a block of whole warps the same bits. partial is shared memory for 32 values,
// which may be used again at once; none is the value that changes nothing.
template <class Op, class T> DEVICE T block_reduce(T v, T *partial, T none) {
  v = warp_reduce<Op>(v);
  if (lane_index() == 0) partial[warp_index()] = v;
  syncthreads();
  v = lane_index() < block_warps() ? partial[lane_index()] : none;
  v = warp_reduce<Op>(v);
  syncthreads();
  return v;
}
template <class T> DEVICE T block_sum(T v, T *partial) { return block_reduce<Sum>(v, partial, (T)0); }
template <class T> DEVICE T block_max(T v, T *partial) { return block_reduce<Max>(v, partial, (T)-infinity); }

// ---- shared memory, asynchronous copies and tensor cores (sm_80)

DEVICE u32 shared_address(const void *p) { return (u32)(u64)(__attribute__((address_space(3))) const void *)p; }

// copy_async16 copies `bytes` (0 to 16) of 16-byte aligned global memory to shared memory and fills the rest of the
// 16 with zeros. What it writes may be read after copy_wait and a barrier.
DEVICE void copy_async16(void *shared, const void *global, i32 bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// copy_wait<N> waits until at most N committed groups of this thread are under way.
template <i32 N> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// ldmatrix4 loads four 8×8 matrices of 16-bit elements: lane 8·i + r gives the address of row r of matrix i, which
// is 16 bytes long and aligned. Lane l receives of each matrix the elements (l/4, 2·(l%4)) and the one after it.
DEVICE void ldmatrix4(u32 *r, const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
// ldmatrix4_transposed gives the elements (2·(l%4), l/4) and the one below it.
DEVICE void ldmatrix4_transposed(u32 *r, const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}

// mma_bf16 adds a 16×16 matrix a times a 16×8 matrix b to the 16×8 matrix d (m16n8k16, PTX ISA 7.0, 9.7.13.4.8).
// With g = lane/4 and t = lane%4: a holds (g, 2t), (g+8, 2t), (g, 2t+8), (g+8, 2t+8), b holds (2t, g), (2t+8, g),
// each with its neighbour along k; d holds (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1).
DEVICE void mma_bf16(float *d, const u32 *a, u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- dtypes, as package backend counts them

enum DType : i32 { F32, F64, BF16, F16, I32, I64, U8, BOOL };

// ---- faults: see faults.go

// A Fault is where kernels report an index out of range. Both words begin as all ones and are made smaller only, so
// the smallest position wins in any order: the upper half of each is the position, the lower ones are the value.
struct Fault { u64 high, low; };

DEVICE void report_fault(Fault *f, u32 position, i64 value) {
  u64 at = (u64)position << 32;
  asm volatile("red.global.min.u64 [%0], %1;" ::"l"(&f->high), "l"(at | (u32)((u64)value >> 32)) : "memory");
  asm volatile("red.global.min.u64 [%0], %1;" ::"l"(&f->low), "l"(at | (u32)value) : "memory");
}
