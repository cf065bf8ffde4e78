// Matrix products of 16-bit elements on tensor cores: mma.sync m16n8k16 fed by ldmatrix from swizzled shared memory,
// which a pipeline of asynchronous copies fills.
#pragma once
#include "fragments.cuh"
#include "product.cuh"

// A Panel is SIZE rows or columns of an operand by DEPTH elements of k in shared memory, in chunks of eight elements.
// Lines of a panel lie along k (SIZE lines of four chunks) or across it (DEPTH lines of SIZE/8 chunks). A chunk's place
// in its line is its number XOR a number that the line gives, such that the eight lines of a matrix that ldmatrix reads,
// as well as the chunks that eight neighbouring threads copy, lie in different banks.
constexpr i32 DEPTH = 32;

template <i32 SIZE, bool ALONG_K> struct Panel {
  static constexpr i32 LINES = ALONG_K ? SIZE : DEPTH, CHUNKS = ALONG_K ? DEPTH / 8 : SIZE / 8;

  static __device__ __attribute__((always_inline)) i32 place(i32 line, i32 chunk) {
    return (line * CHUNKS + (chunk ^ (ALONG_K ? line >> 1 & 3 : line & 7))) * 8;
  }
};

// A Loader copies the panels of an operand, one after the other along k. It needs an operand whose lines begin at
// multiples of 16 bytes. What lies outside the operand becomes 0.
template <i32 SIZE, bool ALONG_K, i32 THREADS> struct Loader {
  using P = Panel<SIZE, ALONG_K>;
  static constexpr i32 COPIES = P::LINES * P::CHUNKS / THREADS, STEP = THREADS / P::CHUNKS; // lines between copies

  const u16 *base, *from; // from is the first chunk that this thread copies
  i64 stride;
  i32 line, chunk, first, size, k, end; // first is the line's or chunk's place in the operand across k

  // start begins at k with the rows or columns from first on, of which there are size; k ends before end.
  __device__ __attribute__((always_inline)) void start(const u16 *operand, i64 lineStride, i32 firstLine, i32 sizeOfOperand, i32 fromK, i32 endOfK) {
    base = operand, stride = lineStride, size = sizeOfOperand, k = fromK, end = endOfK;
    line = thread_index() / P::CHUNKS, chunk = thread_index() % P::CHUNKS;
    first = firstLine + (ALONG_K ? line : chunk * 8);
    from = ALONG_K ? base + first * stride + k + chunk * 8 : base + (k + line) * stride + first;
  }

  __device__ __attribute__((always_inline)) void next(u16 *panel) {
#pragma unroll
    for (i32 i = 0; i < COPIES; i++) {
      i32 inside = ALONG_K ? end - k - chunk * 8 : size - first;                        // elements of the chunk
      bool exists = ALONG_K ? first + i * STEP < size : k + line + i * STEP < end;      // the line
      i32 bytes = exists ? min_(max_(inside, 0), 8) * 2 : 0;
      copy_async16(panel + P::place(line + i * STEP, chunk), bytes ? from + i * STEP * stride : base, bytes);
    }
    k += DEPTH;
    from += ALONG_K ? DEPTH : DEPTH * stride;
  }
};

// product computes a tile of ROWS×COLS with DOWN×ACROSS warps.
//
// The pipeline has STAGES panels of each operand: while one is multiplied, the next ones are on their way. One barrier
// a panel both publishes the oldest copies and says that the panel read before is free. The sums leave through shared
// memory, so that global memory sees whole lines.
template <class T, i32 ROWS, i32 COLS, i32 DOWN, i32 ACROSS, i32 STAGES, bool X_K, bool Y_K> DEVICE void product(const Product &g, u16 *shared) {
  constexpr i32 THREADS = DOWN * ACROSS * 32, M = ROWS / DOWN / 16, N = COLS / ACROSS / 8; // M×N fragments a warp
  using X = Panel<ROWS, X_K>;
  using Y = Panel<COLS, Y_K>;
  constexpr i32 STAGE = (ROWS + COLS) * DEPTH;

  Tile tile = tile_of<ROWS, COLS>(block_index(), g.m, g.n);
  Offsets at = offsets_of(g.batch, g.firstMatrix);
  i32 begin = block_index_y() * g.sliceK, end = min_(begin + g.sliceK, g.k), panels = (end - begin + DEPTH - 1) / DEPTH;
  Loader<ROWS, X_K, THREADS> x;
  Loader<COLS, Y_K, THREADS> y;
  x.start((const u16 *)g.x + at.x, g.xStride, tile.row, g.m, begin, end);
  y.start((const u16 *)g.y + at.y, g.yStride, tile.col, g.n, begin, end);

  float sum[M][N][4];
#pragma unroll
  for (i32 i = 0; i < M; i++)
#pragma unroll
    for (i32 j = 0; j < N; j++)
#pragma unroll
      for (i32 e = 0; e < 4; e++) sum[i][j][e] = 0;

  i32 row = warp_index() / ACROSS * (ROWS / DOWN), col = warp_index() % ACROSS * (COLS / ACROSS);
  i32 read = 0, write = 0; // stages
#pragma unroll 1
  for (i32 p = 1 - STAGES; p < panels; p++) {
    if (p >= 0) {
      copy_wait<STAGES - 2>();
      syncthreads();
    }
    if (p + STAGES - 1 < panels) {
      x.next(shared + write * STAGE);
      y.next(shared + write * STAGE + ROWS * DEPTH);
      write = write + 1 == STAGES ? 0 : write + 1;
    }
    copy_commit(); // an empty group too, so that the count of groups tells the stage
    if (p < 0) continue;
    const u16 *xs = shared + read * STAGE, *ys = xs + ROWS * DEPTH;
    read = read + 1 == STAGES ? 0 : read + 1;
#pragma unroll
    for (i32 k = 0; k < DEPTH; k += 16) {
      u32 a[M][4], b[N / 2][4];
#pragma unroll
      for (i32 i = 0; i < M; i++) fragment_a<X, X_K>(a[i], xs, row + i * 16, k, lane_index());
#pragma unroll
      for (i32 j = 0; j < N / 2; j++) fragment_b<Y, Y_K>(b[j], ys, col + j * 16, k, lane_index());
#pragma unroll
      for (i32 i = 0; i < M; i++)
#pragma unroll
        for (i32 j = 0; j < N; j++) mma<T>(sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }

  // The sums leave one row of warps at a time.
  constexpr i32 HEIGHT = ROWS / DOWN, WIDTH = stage_width<COLS>;
  static_assert(HEIGHT * WIDTH * 4 <= STAGES * STAGE * 2);
  float *stage = (float *)shared;
  u8 *out = g.out + (at.out + block_index_y() * g.sliceStride) * (g.flags & OUT_F32 ? 4 : 2);
  i32 lane = lane_index();
#pragma unroll 1
  for (i32 part = 0; part < DOWN; part++) {
    syncthreads(); // the operands, or the part before, are no longer read
    if (warp_index() / ACROSS == part) {
#pragma unroll
      for (i32 i = 0; i < M; i++)
#pragma unroll
        for (i32 j = 0; j < N; j++)
#pragma unroll
          for (i32 h = 0; h < 2; h++) {
            float *to = stage + (i * 16 + h * 8 + lane / 4) * WIDTH + col + j * 8 + lane % 4 * 2;
            *(u64 *)to = (u64)bits<u32>(sum[i][j][h * 2 + 1]) << 32 | bits<u32>(sum[i][j][h * 2]);
          }
    }
    syncthreads();
    leave<T, HEIGHT, COLS, THREADS>(g, out, stage, tile.row + part * HEIGHT, tile.col);
  }
}
