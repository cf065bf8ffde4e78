// Products of F32 matrices without tensor cores, which would round the operands to 10 bits.
#include "product.cuh"

// copy_async4 copies 4 bytes of global memory to shared memory, or writes zeros.
DEVICE void copy_async4(float *shared, const float *global, bool exists) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(exists ? 4 : 0) : "memory");
}

constexpr i32 DEPTH = 8;

// A Loader copies panels of SIZE rows or columns by DEPTH elements of k into lines along SIZE, four bytes at a time, so
// that operands may be transposed and aligned to an element only. Neighbouring threads read neighbouring elements. Four
// floats of padding after a line let 8 elements along k of 4 rows fall into different banks.
template <i32 SIZE, i32 THREADS> struct Loader {
  static constexpr i32 LINE = SIZE + 4, COPIES = SIZE * DEPTH / THREADS;

  const float *base, *from;
  i64 advance, between; // of from: to the next panel, to the next copy
  i32 i, k, di, dk;     // this thread's first element, and what the next copy adds
  i32 size, end, to, between2;

  __device__ __attribute__((always_inline)) void start(const float *operand, bool alongK, i64 stride, i32 first, i32 sizeOfOperand, i32 fromK, i32 endOfK) {
    i32 t = thread_index();
    i64 si = alongK ? stride : 1, sk = alongK ? 1 : stride;
    i32 ti = alongK ? t / DEPTH : t % SIZE, tk = alongK ? t % DEPTH : t / SIZE;
    di = alongK ? THREADS / DEPTH : 0, dk = alongK ? 0 : THREADS / SIZE;
    i = first + ti, k = fromK + tk, size = sizeOfOperand, end = endOfK;
    base = operand, from = operand + i * si + k * sk;
    advance = DEPTH * sk, between = di * si + dk * sk;
    to = tk * LINE + ti, between2 = dk * LINE + di;
  }

  __device__ __attribute__((always_inline)) void next(float *panel) {
#pragma unroll
    for (i32 c = 0; c < COPIES; c++) {
      bool exists = i + c * di < size && k + c * dk < end;
      copy_async4(panel + to + c * between2, exists ? from + c * between : base, exists);
    }
    k += DEPTH, from += advance;
  }
};

// product computes a tile of 8·DOWN × 8·ACROSS with a thread for 8×8 sums: rows 4·y and 4·y + half a tile on, columns
// likewise, so that the lanes of a warp (four of y by eight of x) read neighbouring 16 bytes. The pipeline is that of
// tensorcore.cuh.
template <i32 DOWN, i32 ACROSS, i32 STAGES> DEVICE void product(const Product &g, float *shared) {
  constexpr i32 THREADS = DOWN * ACROSS, ROWS = 8 * DOWN, COLS = 8 * ACROSS;
  using X = Loader<ROWS, THREADS>;
  using Y = Loader<COLS, THREADS>;
  constexpr i32 STAGE = DEPTH * (X::LINE + Y::LINE);

  Tile tile = tile_of<ROWS, COLS>(block_index(), g.m, g.n);
  Offsets at = offsets_of(g.batch, g.firstMatrix);
  i32 begin = block_index_y() * g.sliceK, end = min_(begin + g.sliceK, g.k), panels = (end - begin + DEPTH - 1) / DEPTH;
  X x;
  Y y;
  x.start((const float *)g.x + at.x, g.flags & X_ALONG_K, g.xStride, tile.row, g.m, begin, end);
  y.start((const float *)g.y + at.y, g.flags & Y_ALONG_K, g.yStride, tile.col, g.n, begin, end);

  i32 tx = warp_index() % (ACROSS / 8) * 8 + lane_index() % 8, ty = warp_index() / (ACROSS / 8) * 4 + lane_index() / 8;
  float sum[2][2][4][4]; // upper and lower, left and right
#pragma unroll
  for (i32 i = 0; i < 64; i++) sum[i / 32][i / 16 % 2][i / 4 % 4][i % 4] = 0;

  i32 read = 0, write = 0;
#pragma unroll 1
  for (i32 p = 1 - STAGES; p < panels; p++) {
    if (p >= 0) {
      copy_wait<STAGES - 2>();
      syncthreads();
    }
    if (p + STAGES - 1 < panels) {
      x.next(shared + write * STAGE);
      y.next(shared + write * STAGE + DEPTH * X::LINE);
      write = write + 1 == STAGES ? 0 : write + 1;
    }
    copy_commit();
    if (p < 0) continue;
    const float *xs = shared + read * STAGE + ty * 4, *ys = shared + read * STAGE + DEPTH * X::LINE + tx * 4;
    read = read + 1 == STAGES ? 0 : read + 1;
#pragma unroll
    for (i32 k = 0; k < DEPTH; k++) {
      float a[2][4], b[2][4];
#pragma unroll
      for (i32 half = 0; half < 2; half++) {
        load4<float>(a[half], xs + k * X::LINE + half * (ROWS / 2));
        load4<float>(b[half], ys + k * Y::LINE + half * (COLS / 2));
      }
#pragma unroll
      for (i32 i = 0; i < 64; i++) {
        i32 v = i / 32, h = i / 16 % 2, r = i / 4 % 4, c = i % 4;
        sum[v][h][r][c] = fma_rn(a[v][r], b[h][c], sum[v][h][r][c]);
      }
    }
  }

  constexpr i32 WIDTH = stage_width<COLS>;
  u8 *out = g.out + (at.out + block_index_y() * g.sliceStride) * 4;
#pragma unroll 1
  for (i32 half = 0; half < 2; half++) {
    syncthreads(); // the operands, or the half before, are no longer read
#pragma unroll
    for (i32 h = 0; h < 2; h++)
#pragma unroll
      for (i32 r = 0; r < 4; r++) {
        float v[4];
#pragma unroll
        for (i32 c = 0; c < 4; c++) v[c] = half ? sum[1][h][r][c] : sum[0][h][r][c];
        store4<float>(shared + (ty * 4 + r) * WIDTH + h * (COLS / 2) + tx * 4, v);
      }
    syncthreads();
    leave<float, ROWS / 2, COLS, THREADS>(g, out, shared, tile.row + half * (ROWS / 2), tile.col);
  }
}

// By design 128 registers a thread: two blocks of eight warps a multiprocessor, with 34 KiB of shared memory each.
KERNEL __launch_bounds__(256, 2) gemm_large_f32(Product g) {
  alignas(16) static __shared__ float shared[64 * stage_width<128>];
  static_assert(sizeof shared >= 4 * 4 * DEPTH * (132 + 132));
  product<16, 16, 4>(g, shared);
}

// Tiles of 64×64 by two warps: eight blocks of 17 KiB a multiprocessor with 164 KiB, five of one with 100 KiB.
KERNEL __launch_bounds__(64, 8) gemm_small_f32(Product g) {
  alignas(16) static __shared__ float shared[4 * DEPTH * (68 + 68)];
  static_assert(sizeof shared >= 4 * 32 * stage_width<64>);
  product<8, 8, 4>(g, shared);
}
