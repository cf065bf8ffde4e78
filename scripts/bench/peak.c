// What the processor gives at this moment: one JSON object a line. Build: cc -O2 -o peak peak.c -lpthread
//
// Rates in GFLOP/s of loops that do nothing but multiply-adds in registers, and in GB/s of sweeps over 1 GiB (bytes read
// plus bytes written), on one thread and on all.
#define _GNU_SOURCE
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1e-9 * t.tv_nsec;
}

#define TWENTY "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19"
#define TWELVE "0,1,2,3,4,5,6,7,8,9,10,11"

static double fma512(long n) {
	__asm__ volatile("1:\n.irp r," TWENTY "\nvfmadd231ps %%zmm30,%%zmm31,%%zmm\\r\n.endr\ndec %0\njnz 1b\nvzeroupper\n" : "+r"(n)::"memory", "cc");
	return 20 * 32;
}

static double fma256(long n) {
	__asm__ volatile("1:\n.irp r," TWELVE "\nvfmadd231ps %%ymm14,%%ymm15,%%ymm\\r\n.endr\ndec %0\njnz 1b\nvzeroupper\n" : "+r"(n)::"memory", "cc");
	return 12 * 16;
}

static double dot_bf16(long n) {
	__asm__ volatile("1:\n.irp r," TWENTY "\nvdpbf16ps %%zmm30,%%zmm31,%%zmm\\r\n.endr\ndec %0\njnz 1b\nvzeroupper\n" : "+r"(n)::"memory", "cc");
	return 20 * 64;
}

static double tiles(long n) {
	struct {
		uint8_t palette, start, reserved[14];
		uint16_t bytes[16];
		uint8_t rows[16];
	} c = {.palette = 1};
	for (int i = 0; i < 8; i++) {
		c.bytes[i] = 64;
		c.rows[i] = 16;
	}
	__asm__ volatile("ldtilecfg %1\n.irp r,0,1,2,3,4,5,6,7\ntilezero %%tmm\\r\n.endr\n"
			 "1:\ntdpbf16ps %%tmm6,%%tmm4,%%tmm0\ntdpbf16ps %%tmm7,%%tmm4,%%tmm1\ntdpbf16ps %%tmm6,%%tmm5,%%tmm2\ntdpbf16ps %%tmm7,%%tmm5,%%tmm3\n"
			 "dec %0\njnz 1b\ntilerelease\n"
			 : "+r"(n)
			 : "m"(c)
			 : "memory", "cc");
	return 4 * 2.0 * 16 * 16 * 32;
}

struct job {
	double (*loop)(long);
	char *memory;
	int write;
	double rate;
};

enum { chunk = 100000 };
static const size_t bytes = 1 << 30;

static void *compute(void *p) {
	struct job *j = p;
	double start = now(), flops = 0, t;
	long n = j->loop == tiles ? chunk / 10 : chunk;
	while ((t = now() - start) < 0.4)
		flops += n * j->loop(n);
	j->rate = flops / t / 1e9;
	return 0;
}

static void *sweep(void *p) {
	struct job *j = p;
	float *x = (float *)j->memory;
	size_t n = bytes / sizeof *x;
	double start = now();
	if (j->write) {
		for (size_t i = 0; i < n; i++)
			x[i] *= 1.0001f;
	} else {
		float s[64] = {0};
		for (size_t i = 0; i < n; i += 64)
			for (int k = 0; k < 64; k++)
				s[k] += x[i + k];
		for (int k = 1; k < 64; k++)
			s[0] += s[k];
		__asm__ volatile("" ::"m"(s[0]));
	}
	j->rate = (1 + j->write) * bytes / (now() - start) / 1e9;
	return 0;
}

static void measure(const char *name, const char *unit, int threads, void *(*f)(void *), struct job j) {
	double best = 0;
	for (int round = 0; round < 3; round++) {
		pthread_t t[64];
		struct job js[64];
		double sum = 0;
		for (int i = 0; i < threads; i++) {
			js[i] = j;
			if (j.memory)
				js[i].memory += i * bytes;
			pthread_create(&t[i], 0, f, &js[i]);
		}
		for (int i = 0; i < threads; i++) {
			pthread_join(t[i], 0);
			sum += js[i].rate;
		}
		best = sum > best ? sum : best;
	}
	printf("{\"bench\":\"peak\",\"shape\":\"%s\",\"threads\":%d,\"%s\":%.1f}\n", name, threads, unit, best);
	fflush(stdout);
}

int main(void) {
	int all = sysconf(_SC_NPROCESSORS_ONLN);
	all = all > 64 ? 64 : all;
	char *memory = malloc(all * bytes);
	memset(memory, 1, all * bytes) /* zeros would all be one page */;
	int counts[] = {1, all};
	for (int i = 0; i < 1 + (all > 1); i++) {
		int n = counts[i];
		if (__builtin_cpu_supports("avx2"))
			measure("f32 FMA, 256 bits", "gflops", n, compute, (struct job){.loop = fma256});
		if (__builtin_cpu_supports("avx512f"))
			measure("f32 FMA, 512 bits", "gflops", n, compute, (struct job){.loop = fma512});
		if (__builtin_cpu_supports("avx512bf16"))
			measure("bf16 VDPBF16PS, 512 bits", "gflops", n, compute, (struct job){.loop = dot_bf16});
#ifdef SYS_arch_prctl
		FILE *f = popen("grep -c amx_bf16 /proc/cpuinfo", "r");
		int amx = 0;
		if (f && fscanf(f, "%d", &amx) == 1 && amx > 0 && syscall(SYS_arch_prctl, 0x1023, 18) == 0)
			measure("bf16 AMX tiles", "gflops", n, compute, (struct job){.loop = tiles});
		if (f)
			pclose(f);
#endif
		measure("memory, read", "gb_per_second", n, sweep, (struct job){.memory = memory});
		measure("memory, scale in place", "gb_per_second", n, sweep, (struct job){.memory = memory, .write = 1});
	}
	return 0;
}
