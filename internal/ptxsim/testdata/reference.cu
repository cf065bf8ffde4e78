// Kernels on which the simulator and its mutation gate are tested. Compiled by
//   clang-19 -x cuda --cuda-device-only -nocudainc -nocudalib --cuda-gpu-arch=sm_80 --cuda-feature=+ptx70 -O3 -std=c++17 -S reference.cu -o reference.ptx
#define GLOBAL extern "C" __attribute__((global)) void
#define DEVICE static __attribute__((device)) __attribute__((always_inline)) inline
#define SHARED __attribute__((shared))
#define CONSTANT static __attribute__((device)) __attribute__((constant))
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned long long u64;

DEVICE u32 thread() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE u32 block() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE u32 threads() { return __nvvm_read_ptx_sreg_ntid_x(); }

// out[row] = the greatest of row's n values; 128 threads a row.
GLOBAL row_max(float *out, const float *x, int n) {
    SHARED float part[4];
    float m = -__builtin_inff();
    for (int i = thread(); i < n; i += 128) m = __builtin_fmaxf(m, x[(u64)block() * n + i]);
    for (int d = 16; d > 0; d >>= 1) m = __builtin_fmaxf(m, __nvvm_shfl_sync_bfly_f32(0xffffffffu, m, d, 31));
    if ((thread() & 31) == 0) part[thread() >> 5] = m;
    __syncthreads();
    if (thread() == 0) {
        for (int i = 1; i < 4; i++) m = __builtin_fmaxf(m, part[i]);
        out[block()] = m;
    }
}

// bins[k] counts the bytes of value k; bins has 256 entries that are zero before.
GLOBAL histogram(u32 *bins, const unsigned char *x, int n) {
    SHARED u32 local[256];
    for (int i = thread(); i < 256; i += threads()) local[i] = 0;
    __syncthreads();
    for (int i = block() * threads() + thread(); i < n; i += threads() * __nvvm_read_ptx_sreg_nctaid_x())
        __nvvm_atom_add_gen_i((volatile int *)&local[x[i]], 1);
    __syncthreads();
    for (int i = thread(); i < 256; i += threads())
        if (local[i]) __nvvm_atom_add_gen_i((volatile int *)&bins[i], (int)local[i]);
}

CONSTANT float coefficients[8] = {1, 0.5f, 0.25f, 2, -1, 3, 0.125f, -4};

// Every lane takes another path of a switch and a loop of another length.
GLOBAL divergent(float *out, const float *x, int n) {
    int i = block() * threads() + thread();
    if (i >= n) return;
    float v = x[i];
    switch (i % 7) {
    case 0: v = v * coefficients[i & 7]; break;
    case 1: v = v + coefficients[i >> 1 & 7]; break;
    case 2: for (int k = 0; k < i % 13; k++) v = v * 0.5f + 1; break;
    case 3: v = v / 3; break;
    case 4: if (v > 0) v = -v; else v = v - 1; break;
    case 5: v = __builtin_sqrtf(__builtin_fabsf(v)); break;
    default: v = 0;
    }
    out[i] = v;
}

// C[m,n] = A[m,k] B[n,k]^T in bf16 with f32 sums: one warp a 16x8 tile, two stages of cp.async. m, n multiples of 16 and 8, k of 16.
GLOBAL tile_gemm(float *c, const u16 *a, const u16 *b, int n, int k) {
    SHARED __attribute__((aligned(16))) u16 sa[2][16 * 16], sb[2][8 * 16];
    int lane = thread(), row0 = __nvvm_read_ptx_sreg_ctaid_y() * 16, col0 = block() * 8;
    float acc[4] = {0, 0, 0, 0};
    auto fetch = [&](int stage, int k0) {
        u32 da = (u32)(u64)(__attribute__((address_space(3))) const void *)&sa[stage][(lane >> 1) * 16 + (lane & 1) * 8];
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(da), "l"(a + (u64)(row0 + (lane >> 1)) * k + k0 + (lane & 1) * 8) : "memory");
        if (lane < 16) {
            u32 db = (u32)(u64)(__attribute__((address_space(3))) const void *)&sb[stage][(lane >> 1) * 16 + (lane & 1) * 8];
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(db), "l"(b + (u64)(col0 + (lane >> 1)) * k + k0 + (lane & 1) * 8) : "memory");
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    };
    fetch(0, 0);
    for (int k0 = 0, stage = 0; k0 < k; k0 += 16, stage ^= 1) {
        if (k0 + 16 < k) {
            fetch(stage ^ 1, k0 + 16);
            asm volatile("cp.async.wait_group 1;" ::: "memory");
        } else {
            asm volatile("cp.async.wait_group 0;" ::: "memory");
        }
        __syncthreads();
        u32 fa[4], fb[2];
        u32 pa = (u32)(u64)(__attribute__((address_space(3))) const void *)&sa[stage][(lane & 15) * 16 + (lane >> 4) * 8];
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3]) : "r"(pa) : "memory");
        u32 pb = (u32)(u64)(__attribute__((address_space(3))) const void *)&sb[stage][(lane & 7) * 16 + (lane >> 3 & 1) * 8];
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(fb[0]), "=r"(fb[1]) : "r"(pb) : "memory");
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
                     : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
        __syncthreads();
    }
    for (int i = 0; i < 4; i++) c[(u64)(row0 + (lane >> 2) + 8 * (i >> 1)) * n + col0 + (lane & 3) * 2 + (i & 1)] = acc[i];
}
