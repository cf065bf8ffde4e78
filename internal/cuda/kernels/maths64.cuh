// Elementary functions in F64. There is no device library: everything here is made of additions, multiplications,
// fused multiply-adds, divisions and square roots that IEEE 754 defines, so the results are the same bits on every card.
//
// The reductions are the usual ones: Cody and Waite, "Software Manual for the Elementary Functions" (1980); Payne and
// Hanek (1983) for large angles; Muller, "Elementary Functions" (2016). The polynomials are Chebyshev fits, computed with
// 40 digits; their error is under 2⁻⁵⁶ of the result. The errors given were measured against 40 digits, in units of the
// last place, at thousands of random arguments of every size.
#pragma once
#include "device.cuh"
#pragma clang fp contract(off)

namespace maths {

constexpr double inf64 = __builtin_inf();
constexpr double nan64 = __builtin_nan("");
constexpr double pi = 0x1.921fb54442d18p+1, piLow = 0x1.1a62633145c07p-53;

DEVICE double abs(double x) { return __builtin_fabs(x); }
DEVICE double copysign(double x, double sign) { return __builtin_copysign(x, sign); }
DEVICE bool isnan(double x) { return x != x; }

// polynomial is Σ c[i]·xⁿ⁻¹⁻ⁱ by Horner's rule.
template <class T, i32 n> DEVICE T polynomial(T x, const T (&c)[n]) {
  T p = c[0];
#pragma unroll
  for (i32 i = 1; i < n; i++) p = fma_rn(p, x, c[i]);
  return p;
}

// ---- exponentials

DEVICE double power_of_two(i32 n) { return bits<double>((u64)(n + 1023) << 52); } // for −1022 ≤ n ≤ 1023

// scaled is p·2ⁿ, by two steps: n itself may be beyond the exponents of normal numbers.
DEVICE double scaled(double p, i32 n) { return p * power_of_two(n >> 1) * power_of_two(n - (n >> 1)); }

// expm1_reduced is exp(r) − 1 for |r| ≤ ln(2)/2.
DEVICE double expm1_reduced(double r) {
  const double c[] = {2.0914686968086876e-09, 2.5105217004720745e-08, 2.75572736431103e-07, 2.7557255400206422e-06,
                      2.4801587325547743e-05, 0.00019841269874820627, 0.0013888888888883748, 0.008333333333326136,
                      0.04166666666666667, 0.1666666666666667, 0.5};
  return fma_rn(r * r, polynomial(r, c), r);
}

// ln2 in two parts; n·ln2High is exact for |n| < 2¹³.
constexpr double log2e = 0x1.71547652b82fep+0, ln2High = 0x1.62e42fefa4000p-1, ln2Low = -0x1.8432a1b0e2634p-43;

struct Reduced {
  double rest;
  i32 n;
};
// reduce_exp writes x + low as n·ln 2 + rest.
DEVICE Reduced reduce_exp(double x, double low = 0) {
  double n = __builtin_rint(x * log2e);
  double r = fma_rn(n, -ln2High, x);
  return {fma_rn(n, -ln2Low, r) + low, (i32)n};
}

// exp: 0.9 ulp. low is added to x.
DEVICE double exp(double x, double low = 0) {
  if (isnan(x)) return x;
  x = min_(max_(x, -746.), 710.);
  Reduced r = reduce_exp(x, low);
  return scaled(1 + expm1_reduced(r.rest), r.n);
}

// exp2: 1 ulp.
DEVICE double exp2(double x) {
  if (isnan(x)) return x;
  x = min_(max_(x, -1076.), 1025.);
  double n = __builtin_rint(x);
  return scaled(1 + expm1_reduced((x - n) * 0x1.62e42fefa39efp-1), (i32)n);
}

// expm1: 1.5 ulp; expm1_within is that of numbers from −40 to 40.
DEVICE double expm1_within(double x) {
  Reduced r = reduce_exp(x);
  double y = expm1_reduced(r.rest);
  if (r.n == 0) return y; // −0 as well
  double s = power_of_two(r.n);
  return fma_rn(s, y, s - 1);
}
DEVICE double expm1(double x) {
  if (x > 40) return exp(x) - 1;
  if (x < -40) return -1;
  return expm1_within(x);
}

// ---- logarithms

struct Split {
  double fraction; // in [√½, √2)
  i32 exponent;
};
DEVICE Split split(double x) { // x > 0 and finite
  i32 shift = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    shift = -54;
  }
  const u64 root = 0x3fe6a09e667f3bcdull;
  u64 b = bits<u64>(x) - root;
  return {bits<double>((b & 0xfffffffffffffull) + root), (i32)((i64)b >> 52) + shift};
}

// With s = f/(2 + f), log(1 + f) = 2s + s·R and R = 2s²/3 + 2s⁴/5 + …, as 2·artanh(s). log_rest is R.
DEVICE double log_rest(double square) {
  const double c[] = {0.13086767009948175, 0.13268759668560612, 0.15386240205813478, 0.18181795630884753,
                      0.2222222239180047, 0.2857142857080323, 0.4000000000000088, 0.6666666666666666};
  return square * polynomial(square, c);
}

// log: 0.9 ulp.
DEVICE double log(double x) {
  if (!(x > 0)) return x == 0 ? -inf64 : nan64;
  if (x == inf64) return x;
  Split v = split(x);
  double f = v.fraction - 1, n = v.exponent;
  double s = f / (2 + f);
  // f − (f²/2 − s·(f²/2 + R)) is 2s + s·R, with its leading part exact.
  double half = 0.5 * f * f;
  double y = fma_rn(s, half + log_rest(s * s), n * ln2Low);
  return fma_rn(n, ln2High, f - (half - y));
}

// log1p: 2 ulp. What rounding 1 + x loses is given back (Kahan; Higham 2002, section 1.14).
DEVICE double log1p(double x) {
  double u = 1 + x, d = u - 1;
  if (d == 0) return x;
  if (!(u > 0 && u < inf64)) return log(u);
  return u < 0.5 || u > 2 ? log(u) + (x - d) / u : log(u) * (x / d);
}

// Wide is a number in two parts, of which the second is less than an ulp of the first.
struct Wide {
  double high, low;
};
DEVICE Wide add_exactly(double x, double y) { // |x| ≥ |y|, or either is 0
  double s = x + y;
  return {s, y - (s - x)};
}
DEVICE Wide multiply_exactly(double x, double y) {
  double p = x * y;
  return {p, fma_rn(x, y, -p)};
}

// log_wide is log(x) with about 65 bits, for x > 0 and finite.
DEVICE Wide log_wide(double x) {
  Split v = split(x);
  double f = v.fraction - 1, n = v.exponent;
  Wide u = add_exactly(2, f);
  double s = f / u.high;
  double sLow = (fma_rn(-s, u.high, f) - s * u.low) / u.high;
  double rest = fma_rn(s, log_rest(s * s), 2 * sLow);
  Wide y = add_exactly(2 * s, rest);
  Wide sum = add_exactly(n * ln2High, y.high);
  return add_exactly(sum.high, sum.low + fma_rn(n, ln2Low, y.low));
}

// times is x·y for a y in two parts.
DEVICE double times(Wide x, double y, double yLow) {
  Wide p = multiply_exactly(x.high, y);
  return p.high + (p.low + fma_rn(x.high, yLow, x.low * y));
}

// log2 and log10: 0.6 ulp; exact for powers of two.
DEVICE double log2(double x) {
  if (!(x > 0) || x == inf64) return log(x);
  return times(log_wide(x), log2e, 0x1.777d0ffda0d24p-56);
}
DEVICE double log10(double x) {
  if (!(x > 0) || x == inf64) return log(x);
  return times(log_wide(x), 0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57);
}

// ---- powers

DEVICE bool is_whole(double x) { return __builtin_trunc(x) == x; }
DEVICE bool is_odd(double x) { return is_whole(x) && abs(x) < 0x1p53 && ((i64)x & 1) != 0; }

// pow: 3 ulp, and the special cases of C99 (annex F.9.4.4).
DEVICE double pow(double x, double y) {
  if (y == 0 || x == 1) return 1;
  if (isnan(x) || isnan(y)) return nan64;
  double a = abs(x);
  if (abs(y) == inf64) return a == 1 ? 1 : (a > 1) == (y > 0) ? inf64 : 0;
  double sign = bits<i64>(x) < 0 && is_odd(y) ? -1. : 1.;
  if (a == 0 || a == inf64) return sign * ((a == 0) == (y > 0) ? 0 : inf64);
  if (x < 0 && !is_whole(y)) return nan64;
  Wide l = log_wide(a);
  Wide p = multiply_exactly(l.high, y);
  if (abs(p.high) > 800) return sign * (p.high > 0 ? inf64 : 0);
  return sign * exp(p.high, fma_rn(l.low, y, p.low));
}

// hypot: 1.5 ulp, without overflow on the way.
DEVICE double hypot(double x, double y) {
  x = abs(x), y = abs(y);
  if (x == inf64 || y == inf64) return inf64;
  if (isnan(x) || isnan(y)) return nan64;
  double large = max_(x, y), small = min_(x, y);
  if (large == 0) return 0;
  double r = small / large;
  return large * sqrt_rn(fma_rn(r, r, 1.));
}

// ---- remainders

// fmod is exact. In each round x loses up to 50 bits: a remainder of y·2ᵏ has the same remainder of y. The quotient may
// be too large by one where it was rounded to a whole number.
DEVICE double fmod(double x, double y) {
  double a = abs(x), b = abs(y);
  if (!(a < inf64) || !(b > 0)) return nan64; // or x or y is NaN
  if (b == inf64) return x;
  while (a >= b) {
    double step = b;
    while (a * 0x1p-50 > step) step *= 0x1p50;
    double r = fma_rn(-__builtin_trunc(a / step), step, a);
    a = r < 0 ? r + step : r;
  }
  return copysign(a, x);
}

// floor_mod has the sign of y.
DEVICE double floor_mod(double x, double y) {
  double m = fmod(x, y);
  return m != 0 && (m < 0) != (y < 0) ? m + y : m;
}

// ---- angles

struct Angle {
  double rest; // in [−π/4, π/4]
  i32 quarter; // how many times π/2 was taken away, modulo 4
};

// reduce_large is the reduction of Payne and Hanek for x ≥ 2³⁰: the bits of 2/π that matter to x·2/π modulo 4, times the
// 53 bits of x, in integers. It keeps more than 64 significant bits of the rest of any F64.
DEVICE Angle reduce_large(double x) {
  constexpr u64 twoOverPi[] = {
      0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
      0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484, 0xe99c7026b45f7e41,
      0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7,
      0x4f463f669e5fea2d, 0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab};
  i32 exponent = (i32)(bits<u64>(x) >> 52) - 1075; // x = m·2^exponent
  u64 m = (bits<u64>(x) & 0xfffffffffffffull) | 1ull << 52;
  i32 first = exponent - 2 + 64; // the first bit of the table that counts, by the word of zeros before it
  u64 w[4] = {};
#pragma unroll
  for (i32 i = 0; i < 17; i++) { // no indexing by a variable: it would need local memory
    if (i == first >> 6) w[0] = twoOverPi[i], w[1] = twoOverPi[i + 1], w[2] = twoOverPi[i + 2], w[3] = twoOverPi[i + 3];
  }
  i32 shift = first & 63;
  if (shift != 0) {
#pragma unroll
    for (i32 i = 0; i < 3; i++) w[i] = w[i] << shift | w[i + 1] >> (64 - shift);
  }
  auto high = [](u64 a, u64 b) { return (u64)((unsigned __int128)a * b >> 64); };
  u64 p2 = m * w[2], p1 = m * w[1] + high(m, w[2]);
  u64 p0 = m * w[0] + high(m, w[1]) + (p1 < high(m, w[2]) ? 1 : 0);
  // p is x·2/π modulo 4 in units of 2⁻¹⁹⁰.
  i32 quarter = (i32)(p0 >> 62);
  u64 f = p0 << 2 | p1 >> 62, g = p1 << 2 | p2 >> 62;
  double sign = 1;
  if (f >> 63 != 0) { // the nearest multiple is the next one
    quarter++;
    sign = -1;
    f = ~f + (g == 0 ? 1 : 0);
    g = ~g + 1;
  }
  double fraction = (double)f * 0x1p-64 + (double)g * 0x1p-128;
  return {sign * (fraction * 0x1.921fb54442d18p+0), quarter & 3};
}

// reduce_angle takes the nearest multiple of π/2 from x. π/2 in three parts serves up to 2³⁰: the first difference is
// exact, and the second one rounds to an ulp of itself.
DEVICE Angle reduce_angle(double x) {
  double a = abs(x);
  if (!(a < inf64)) return {nan64, 0};
  Angle r;
  if (a < 0x1p30) {
    double n = __builtin_rint(a * 0x1.45f306dc9c883p-1);
    r.rest = fma_rn(n, -0x1.921fb54442d18p+0, a);
    r.rest = fma_rn(n, -0x1.1a62633145c07p-54, r.rest);
    r.rest = fma_rn(n, 0x1.f1976b7ed8fbcp-110, r.rest);
    r.quarter = (i32)n & 3;
  } else {
    r = reduce_large(a);
  }
  return x < 0 ? Angle{-r.rest, -r.quarter & 3} : r;
}

// sin_reduced and cos_reduced are for |r| ≤ π/4.
DEVICE double sin_reduced(double r) {
  const double c[] = {1.5918115263265974e-10, -2.505113165023518e-08, 2.7557316101617874e-06,
                      -0.00019841269836756774, 0.008333333333330948, -0.16666666666666666};
  double z = r * r;
  return fma_rn(z * r, polynomial(z, c), r);
}
DEVICE double cos_reduced(double r) {
  const double c[] = {-1.1382623647474604e-11, 2.087614614655861e-09, -2.7557317271145144e-07,
                      2.480158729876456e-05, -0.0013888888888887398, 0.041666666666666664};
  double z = r * r;
  double head = 1 - 0.5 * z; // what it is rounded by is given back
  return head + ((1 - head - 0.5 * z) + z * z * polynomial(z, c));
}

// sin, cos and tan: 2, 2 and 4 ulp.
DEVICE double sin(Angle a) {
  double y = a.quarter & 1 ? cos_reduced(a.rest) : sin_reduced(a.rest);
  return a.quarter & 2 ? -y : y;
}
DEVICE double cos(Angle a) { return sin(Angle{a.rest, a.quarter + 1}); }
DEVICE double tan(Angle a) {
  double s = sin_reduced(a.rest), c = cos_reduced(a.rest);
  return a.quarter & 1 ? -c / s : s / c;
}

// atan_reduced is for |x| ≤ tan(π/8).
DEVICE double atan_reduced(double x) {
  const double c[] = {0.016284375050043393, -0.03456931506332609, 0.045515447340221615, -0.05230443640686948,
                      0.05878927554473807, -0.0666642476020052, 0.07692296368042296, -0.09090908753259112,
                      0.11111111105150588, -0.14285714285659779, 0.19999999999999804, -0.3333333333333333};
  double z = x * x;
  return fma_rn(z * x, polynomial(z, c), x);
}

// atan: 2 ulp.
DEVICE double atan(double x) {
  double a = abs(x), y;
  if (a > 0x1.3504f333f9de6p+1) { // 1 + √2
    y = pi / 2 - (atan_reduced(1 / a) - piLow / 2);
  } else if (a > 0x1.a827999fcef32p-2) { // √2 − 1
    y = pi / 4 + (atan_reduced((a - 1) / (a + 1)) + piLow / 4);
  } else {
    y = atan_reduced(a);
  }
  return copysign(y, x); // NaN stays
}

// atan2 is the angle of the point (x, y): 1.5 ulp.
DEVICE double atan2(double y, double x) {
  if (isnan(x) || isnan(y)) return nan64;
  double a = abs(x), b = abs(y);
  bool left = bits<i64>(x) < 0;
  double angle;
  if (b == 0) {
    angle = 0;
  } else if (a == inf64 && b == inf64) {
    angle = pi / 4;
  } else {
    angle = atan(b / a);
  }
  if (left) angle = pi - (angle - piLow);
  return copysign(angle, y);
}

// asin_rest is (asin(x) − x)/x for x² = z ≤ ¼.
DEVICE double asin_rest(double z) {
  const double c[] = {0.02877844261259304, -0.014881409392818066, 0.017419357964884856, 0.00545087818772055,
                      0.010324318288744113, 0.011478952690257387, 0.013971235301124539, 0.017352391265909227,
                      0.022372173002005596, 0.030381944137085216, 0.04464285714637338, 0.07499999999998425,
                      0.16666666666666669};
  return z * polynomial(z, c);
}

// acos_upper is acos(x) for ½ ≤ x ≤ 1: 2·asin(√((1 − x)/2)).
DEVICE double acos_upper(double x) {
  double z = 0.5 - 0.5 * x, s = sqrt_rn(z);
  return 2 * fma_rn(s, asin_rest(z), s);
}

// asin and acos: 2 ulp.
DEVICE double asin(double x) {
  double a = abs(x);
  if (!(a <= 1)) return nan64;
  if (a <= 0.5) return fma_rn(x, asin_rest(x * x), x);
  return copysign(pi / 2 - (acos_upper(a) - piLow / 2), x);
}
DEVICE double acos(double x) {
  double a = abs(x);
  if (!(a <= 1)) return nan64;
  if (a <= 0.5) return pi / 2 - (x - (piLow / 2 - x * asin_rest(x * x)));
  double y = acos_upper(a);
  return x > 0 ? y : pi - (y - piLow);
}

// ---- hyperbolic functions

// sinh, cosh and tanh: 2.5 ulp.
DEVICE double sinh(double x) {
  double a = abs(x), y;
  if (a > 40) {
    double e = exp(0.5 * a);
    y = 0.5 * e * e;
  } else {
    double t = expm1(a);
    y = 0.5 * (t + t / (t + 1));
  }
  return copysign(y, x);
}
DEVICE double cosh(double x) {
  double a = abs(x);
  if (a > 40) {
    double e = exp(0.5 * a);
    return 0.5 * e * e;
  }
  double e = exp(a);
  return 0.5 * e + 0.5 / e;
}
DEVICE double tanh(double x) {
  double a = abs(x);
  if (isnan(x)) return x;
  if (a > 20) return copysign(1, x); // 1 − 2·exp(−40) rounds to 1
  double t = expm1_within(2 * a);
  return copysign(t / (t + 2), x);
}

// asinh, acosh and atanh: 2.5 ulp.
DEVICE double asinh(double x) {
  double a = abs(x), z = a * a;
  double y = a > 0x1p28 ? log(a) + 0x1.62e42fefa39efp-1 : log1p(a + z / (1 + sqrt_rn(1 + z)));
  return copysign(y, x);
}
DEVICE double acosh(double x) {
  if (!(x >= 1)) return nan64;
  if (x > 0x1p28) return log(x) + 0x1.62e42fefa39efp-1;
  double t = x - 1;
  return log1p(t + sqrt_rn(t * (t + 2)));
}
DEVICE double atanh(double x) {
  double a = abs(x);
  return copysign(0.5 * log1p(2 * a / (1 - a)), x);
}

// ---- the error function

// erfcx is exp(x²)·erfc(x) for x ≥ 0: a Chebyshev fit of (1 + 2x)·erfcx(x) in (x − 3.75)/(x + 3.75), which is smooth up to
// infinity (Shepherd and Laframboise 1981).
DEVICE double erfcx(double x) {
  const double c[] = {
      4.434959070009628e-10, 3.110310719839165e-10, -5.28428697963142e-09, -3.743568033634583e-09, 3.8965452548985966e-08,
      2.3261913276696566e-08, -2.591069687796658e-07, -5.721597255990987e-08, 1.752057970166318e-06, -9.735619015182663e-07,
      -1.1444412439171722e-05, 2.2384240314224437e-05, 5.1649211390702855e-05, -0.0002901540809795271, 0.0002937136342850081,
      0.0017556258530017257, -0.009746579552504244, 0.028362277418940665, -0.058693398590212366, 0.09230432116037876,
      -0.10880393014171785, 0.08227673849014516, 0.003585415485463775, -0.14024059858554697, 1.2375126308378275};
  return polynomial((x - 3.75) / (x + 3.75), c) / (1 + 2 * x);
}

// exp_minus_square is exp(−scale·x²) for a scale that is a power of two. What rounds x² would show in the exponential.
DEVICE double exp_minus_square(double x, double scale = 1) {
  Wide s = multiply_exactly(x, x);
  return exp(-scale * s.high, -scale * s.low);
}

// erf_small is erf(x) for |x| ≤ 1.
DEVICE double erf_small(double x) {
  const double c[] = {5.956905633653031e-11, -1.1372693191126323e-09, 1.4659736155673959e-08, -1.6350307065234626e-07,
                      1.6460999970345427e-06, -1.4925595235970651e-05, 0.00012055331110409494, -0.0008548326980801447,
                      0.0052239776248174784, -0.02686617064507674, 0.11283791670954878, -0.3761263890318375,
                      1.1283791670955126};
  return x * polynomial(x * x, c);
}

// erf and erfc: 2 and 3 ulp.
DEVICE double erf(double x) {
  double a = abs(x);
  if (a <= 1) return erf_small(x);
  if (isnan(x)) return x;
  return copysign(a > 6 ? 1 : 1 - exp_minus_square(a) * erfcx(a), x);
}
DEVICE double erfc(double x) {
  if (isnan(x)) return x;
  if (abs(x) <= 0.5) return 1 - erf_small(x);
  double a = min_(abs(x), 30.);
  double tail = exp_minus_square(a) * erfcx(a);
  return x > 0 ? tail : 2 - tail;
}

// ---- activations

// sigmoid: 2 ulp. No exponential overflows, and e keeps the digits of small results.
DEVICE double sigmoid(double x) {
  double e = exp(-abs(x));
  return (x < 0 ? e : 1) / (1 + e);
}
DEVICE double silu(double x) { return x * sigmoid(x); }
// softplus does not overflow and keeps the small values of a negative x.
DEVICE double softplus(double x) { return isnan(x) ? x : max_(x, 0.) + log1p(exp(-abs(x))); }

// normal_cdf is Φ(x), with all its digits also where it is small; density is exp(−x²/2).
DEVICE double normal_cdf(double x, double &density) {
  double a = min_(abs(x), 45.);
  density = exp_minus_square(a, 0.5);
  double tail = 0.5 * density * erfcx(a * 0x1.6a09e667f3bcdp-1);
  return x > 0 ? 1 - tail : tail;
}
DEVICE double gelu(double x) {
  double density;
  return isnan(x) ? x : x * normal_cdf(x, density);
}
DEVICE double gelu_slope(double x) {
  if (isnan(x)) return x;
  double density, cdf = normal_cdf(x, density);
  return abs(x) > 45 ? cdf : fma_rn(x * density, 0x1.9884533d43651p-2, cdf);
}

// The approximation of Φ in Hendrycks and Gimpel (2016) is (1 + tanh(u))/2 = sigmoid(2u) with 2u = √(8/π)·(x + 0.044715·x³).
constexpr double geluScale = 1.5957691216057308, geluCubic = 0.044715;
DEVICE double gelu_sigmoid(double x) { return sigmoid(geluScale * fma_rn(geluCubic * x * x, x, x)); }
DEVICE double gelu_tanh(double x) { return x * gelu_sigmoid(x); }
DEVICE double gelu_tanh_slope(double x) {
  double s = gelu_sigmoid(x);
  if (s == 0 || s == 1) return s; // far out, where x³ may be infinite
  return s + x * s * (1 - s) * geluScale * fma_rn(3 * geluCubic * x, x, 1.);
}

} // namespace maths
