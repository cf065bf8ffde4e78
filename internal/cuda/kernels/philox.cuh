// The generator of random numbers: see philox.go of package backend.
#pragma once
#include "device.cuh"

// philox is Philox4x32-10 of Salmon et al. (2011).
DEVICE void philox(u32 (&c)[4], u64 counter, u64 key) {
  u32 k0 = (u32)key, k1 = (u32)(key >> 32);
  c[0] = (u32)counter, c[1] = (u32)(counter >> 32), c[2] = 0, c[3] = 0;
#pragma unroll
  for (i32 round = 0; round < 10; round++) {
    u64 a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
    c[0] = (u32)(b >> 32) ^ c[1] ^ k0;
    c[1] = (u32)b;
    c[2] = (u32)(a >> 32) ^ c[3] ^ k1;
    c[3] = (u32)a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}
