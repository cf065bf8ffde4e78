// A library with the face of NVIDIA's driver, in the memory of the host. It writes down every call with its arguments,
// so that a test sees what reached C, and fails where it is told to.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef void *handle;

static char text[1 << 16];
static int length;
static _Atomic int busy;
static __thread handle current;

static int version = 12040, count = 2, capability = 86;
static size_t memory = 1 << 30, used;
static char failing[64]; // a call that fails
static int code;         // with this
static int after;        // when it was called so often before

void fake_reset(void) {
  length = 0, text[0] = 0, version = 12040, count = 2, capability = 86, memory = 1 << 30, used = 0, failing[0] = 0;
}
void fake_version(int v) { version = v; }
void fake_count(int v) { count = v; }
void fake_memory(size_t v) { memory = v; }
void fake_fail(const char *call, int result, int calls) {
  strncpy(failing, call, sizeof failing - 1);
  code = result, after = calls;
}
const char *fake_log(void) { return text; }

static CUresult say(const char *call, const char *format, ...) {
  while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE)) {}
  va_list args;
  va_start(args, format);
  if (length < (int)sizeof text - 512) {
    length += snprintf(text + length, sizeof text - length, "%s", call);
    length += vsnprintf(text + length, sizeof text - length, format, args);
    length += snprintf(text + length, sizeof text - length, "\n");
  }
  va_end(args);
  int fails = strcmp(call, failing) == 0 && after-- <= 0;
  __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
  return fails ? code : 0;
}

#define CONTEXT ((handle)0xC0)
#define FAIL(...) do { CUresult r = say(__VA_ARGS__); if (r) return r; } while (0)
// IN_CONTEXT fails as the driver does on a thread that has no context.
#define IN_CONTEXT(...) do { if (current != CONTEXT) return say("no context", ""), 201; FAIL(__VA_ARGS__); } while (0)

CUresult cuInit(unsigned flags) { FAIL("cuInit", " %u", flags); return 0; }
CUresult cuDriverGetVersion(int *v) { FAIL("cuDriverGetVersion", ""); *v = version; return 0; }
CUresult cuGetErrorName(CUresult r, const char **s) { *s = r == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : r == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : r == 100 ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_OTHER"; return 0; }
CUresult cuGetErrorString(CUresult r, const char **s) { *s = r == 2 ? "out of memory" : NULL; return *s ? 0 : 1; }
CUresult cuDeviceGetCount(int *n) { FAIL("cuDeviceGetCount", ""); *n = count; return 0; }
CUresult cuDeviceGet(CUdevice *d, int i) { FAIL("cuDeviceGet", " %d", i); *d = 40 + i; return 0; }
CUresult cuDeviceGetName(char *s, int n, CUdevice d) { FAIL("cuDeviceGetName", " %d %d", n, d); snprintf(s, n, "Fake GPU %d", d - 40); return 0; }
CUresult cuDeviceTotalMem_v2(size_t *n, CUdevice d) { FAIL("cuDeviceTotalMem", " %d", d); *n = memory; return 0; }
CUresult cuDeviceGetAttribute(int *v, int a, CUdevice d) {
  FAIL("cuDeviceGetAttribute", " %d %d", a, d);
  *v = a == 75 ? capability / 10 : a == 76 ? capability % 10 : a == 16 ? 28 : a == 97 ? 101376 : -1;
  return 0;
}
CUresult cuDevicePrimaryCtxRetain(handle *c, CUdevice d) { FAIL("cuDevicePrimaryCtxRetain", " %d", d); *c = CONTEXT; return 0; }
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice d) { FAIL("cuDevicePrimaryCtxRelease", " %d", d); return 0; }
CUresult cuCtxSetCurrent(handle c) { current = c; return 0; }
CUresult cuMemGetInfo_v2(size_t *free, size_t *total) { IN_CONTEXT("cuMemGetInfo", ""); *free = memory - used; *total = memory; return 0; }
CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
  IN_CONTEXT("cuMemAlloc", " %zu", n);
  if (used + n > memory) return 2;
  used += n;
  *p = (CUdeviceptr)aligned_alloc(256, (n + 255) / 256 * 256);
  return 0;
}
CUresult cuMemFree_v2(CUdeviceptr p) { IN_CONTEXT("cuMemFree", ""); free((void *)p); return 0; }
CUresult cuMemHostAlloc(void **p, size_t n, unsigned flags) { IN_CONTEXT("cuMemHostAlloc", " %zu %u", n, flags); *p = malloc(n); return 0; }
CUresult cuMemFreeHost(void *p) { IN_CONTEXT("cuMemFreeHost", ""); free(p); return 0; }
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *s, size_t n, handle stream) { IN_CONTEXT("cuMemcpyHtoDAsync", " %zu %p", n, stream); memcpy((void *)d, s, n); return 0; }
CUresult cuMemcpyDtoHAsync_v2(void *d, CUdeviceptr s, size_t n, handle stream) { IN_CONTEXT("cuMemcpyDtoHAsync", " %zu %p", n, stream); memcpy(d, (void *)s, n); return 0; }
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr s, size_t n, handle stream) { IN_CONTEXT("cuMemcpyDtoDAsync", " %zu %p", n, stream); memmove((void *)d, (void *)s, n); return 0; }
CUresult cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, handle stream) { IN_CONTEXT("cuMemsetD8Async", " %d %zu %p", v, n, stream); memset((void *)d, v, n); return 0; }
CUresult cuModuleLoadDataEx(handle *m, const char *image, unsigned n, int *options, void **values) {
  IN_CONTEXT("cuModuleLoadDataEx", " %d options %d %d %d %d, logs of %zu and %zu, entry %d", n, options[0], options[1], options[2], options[3],
             (size_t)values[1], (size_t)values[3], strstr(image, ".entry") != NULL);
  if (strstr(image, ".entry") == NULL) {
    snprintf(values[2], (size_t)values[3], "ptxas fatal: nothing to compile");
    return 218;
  }
  *m = (handle)0x30;
  return 0;
}
CUresult cuModuleGetFunction(handle *f, handle m, const char *name) { IN_CONTEXT("cuModuleGetFunction", " %p %s", m, name); *f = (handle)0x40; return 0; }
CUresult cuFuncSetAttribute(handle f, int attribute, int value) { IN_CONTEXT("cuFuncSetAttribute", " %p %d %d", f, attribute, value); return 0; }
CUresult cuLaunchKernel(handle f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, handle stream,
                        void **params, void **extra) {
  char hex[2 * 64 + 1] = "";
  size_t n = extra[2] == (void *)2 ? *(size_t *)extra[3] : 0;
  for (size_t i = 0; i < n && i < 64; i++) sprintf(hex + 2 * i, "%02x", ((unsigned char *)extra[1])[i]);
  IN_CONTEXT("cuLaunchKernel", " %p grid %u %u %u block %u %u %u shared %u stream %p params %p extra %zu %zu %s", f, gx, gy, gz, bx, by, bz, shared, stream,
             params, (size_t)extra[0], (size_t)extra[4], hex);
  return 0;
}
CUresult cuStreamCreate(handle *s, unsigned flags) { static size_t n = 0; IN_CONTEXT("cuStreamCreate", " %u", flags); *s = (handle)(0x50 + n++ % 2); return 0; }
CUresult cuStreamDestroy_v2(handle s) { IN_CONTEXT("cuStreamDestroy", " %p", s); return 0; }
CUresult cuStreamWaitEvent(handle s, handle e, unsigned flags) { IN_CONTEXT("cuStreamWaitEvent", " %p %p %u", s, e, flags); return 0; }
CUresult cuStreamSynchronize(handle s) { IN_CONTEXT("cuStreamSynchronize", " %p", s); return 0; }
CUresult cuEventCreate(handle *e, unsigned flags) { IN_CONTEXT("cuEventCreate", " %u", flags); *e = (handle)0x60; return 0; }
CUresult cuEventDestroy_v2(handle e) { IN_CONTEXT("cuEventDestroy", " %p", e); return 0; }
CUresult cuEventRecord(handle e, handle s) { IN_CONTEXT("cuEventRecord", " %p %p", e, s); return 0; }
CUresult cuEventSynchronize(handle e) { IN_CONTEXT("cuEventSynchronize", " %p", e); return 0; }
