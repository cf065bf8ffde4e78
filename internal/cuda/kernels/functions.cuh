// The element-wise functions by number, as package backend counts them.
#pragma once
#include "maths32.cuh"

enum UnaryOp : i32 {
  Neg, Abs, Square, Sign, Not, Exp, Log, Sqrt, Rsqrt, Sin, Cos, Tanh, Sigmoid, SiLU, ReLU, Reciprocal, Exp2, Expm1, Log2,
  Log10, Log1p, Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh, Erf, Erfc, Floor, Ceil, Trunc, Round, Softplus, GELU,
  GELUSlope, GELUTanh, GELUTanhSlope
};
enum BinaryOp : i32 {
  Add, Sub, Mul, Div, Larger, Smaller, Pow, Atan2, Hypot, Remainder, Fmod, And, Or, Xor, Eq, Ne, Lt, Le, Gt, Ge
};

#pragma clang fp contract(off)

// common is a function of one number that F32 and F64 each compute in their own way.
template <class C> DEVICE C common(i32 op, C x) {
  switch (op) {
  case Neg: return -x;
  case Abs: return maths::abs(x);
  case Square: return x * x;
  case Sign: return (x > 0) - (x < 0);
  case Exp: return maths::exp(x);
  case Log: return maths::log(x);
  case Sqrt: return sqrt_rn(x);
  case Rsqrt: return 1 / sqrt_rn(x);
  case Sin:
  case Cos: {
    auto a = maths::reduce_angle(x);
    a.quarter += op == Cos;
    return maths::sin(a);
  }
  case Tanh: return maths::tanh(x);
  case Sigmoid: return maths::sigmoid(x);
  case SiLU: return maths::silu(x);
  case ReLU: return x < 0 ? 0 : x;
  case Reciprocal: return 1 / x;
  case Log1p: return maths::log1p(x);
  case Erf: return maths::erf(x);
  case Floor: return __builtin_elementwise_floor(x);
  case Ceil: return __builtin_elementwise_ceil(x);
  case Trunc: return __builtin_elementwise_trunc(x);
  case Round: return __builtin_elementwise_rint(x);
  case Softplus: return maths::softplus(x);
  case GELU: return maths::gelu(x);
  case GELUSlope: return maths::gelu_slope(x);
  case GELUTanh: return maths::gelu_tanh(x);
  default: return maths::gelu_tanh_slope(x);
  }
}

// unary is a function of one number, computed in its type. Those that F64 has beyond the common ones, F32 asks of it
// and rounds once.
DEVICE float unary(i32 op, float x) { return common(op, x); }

DEVICE double unary(i32 op, double x) {
  switch (op) {
  case Exp2: return maths::exp2(x);
  case Expm1: return maths::expm1(x);
  case Log2: return maths::log2(x);
  case Log10: return maths::log10(x);
  case Asin: return maths::asin(x);
  case Acos: return maths::acos(x);
  case Atan: return maths::atan(x);
  case Sinh: return maths::sinh(x);
  case Cosh: return maths::cosh(x);
  case Asinh: return maths::asinh(x);
  case Acosh: return maths::acosh(x);
  case Atanh: return maths::atanh(x);
  case Erfc: return maths::erfc(x);
  case Tan: return maths::tan(maths::reduce_angle(x));
  default: return common(op, x);
  }
}

// Integers are computed with in 64 bits; storing them wraps around.
DEVICE i64 unary(i32 op, i64 x) {
  switch (op) {
  case Neg: return (i64)(0 - (u64)x);
  case Abs: return x < 0 ? (i64)(0 - (u64)x) : x;
  case Square: return (i64)((u64)x * (u64)x);
  case Sign: return (x > 0) - (x < 0);
  case ReLU: return x < 0 ? 0 : x;
  default: return x == 0; // Not
  }
}

// larger and smaller are NaN if either is.
DEVICE float larger(float x, float y) { return max_nan(x, y); }
DEVICE float smaller(float x, float y) { return -max_nan(-x, -y); }
DEVICE double larger(double x, double y) { return x != x ? x : y != y ? y : max_(x, y); }
DEVICE double smaller(double x, double y) { return x != x ? x : y != y ? y : min_(x, y); }
DEVICE i64 larger(i64 x, i64 y) { return max_(x, y); }
DEVICE i64 smaller(i64 x, i64 y) { return min_(x, y); }

// arithmetic is a function of two numbers that gives one of their type. Those that have no case in F32 are computed in
// F64 and rounded once.
DEVICE double arithmetic(i32 op, double x, double y) {
  switch (op) {
  case Add: return x + y;
  case Sub: return x - y;
  case Mul: return x * y;
  case Div: return x / y;
  case Larger: return larger(x, y);
  case Smaller: return smaller(x, y);
  case Pow: return maths::pow(x, y);
  case Atan2: return maths::atan2(x, y);
  case Hypot: return maths::hypot(x, y);
  case Remainder: return maths::floor_mod(x, y);
  default: return maths::fmod(x, y);
  }
}

DEVICE float arithmetic(i32 op, float x, float y) {
  switch (op) {
  case Add: return x + y;
  case Sub: return x - y;
  case Mul: return x * y;
  case Div: return x / y;
  case Larger: return larger(x, y);
  default: return smaller(x, y);
  }
}

// A division by zero is the caller's to find. x/−1 is −x: the quotient of the smallest number is not one.
DEVICE i64 arithmetic(i32 op, i64 x, i64 y) {
  switch (op) {
  case Add: return (i64)((u64)x + (u64)y);
  case Sub: return (i64)((u64)x - (u64)y);
  case Mul: return (i64)((u64)x * (u64)y);
  case Larger: return larger(x, y);
  case Smaller: return smaller(x, y);
  case And: return x != 0 && y != 0;
  case Or: return x != 0 || y != 0;
  case Xor: return (x != 0) != (y != 0);
  }
  i64 q = y == -1 ? (i64)(0 - (u64)x) : x / y;
  if (op == Div) return q;
  i64 m = (i64)((u64)x - (u64)q * (u64)y);
  return op == Remainder && m != 0 && (m < 0) != (y < 0) ? m + y : m;
}

template <class C> DEVICE bool compare(i32 op, C x, C y) {
  switch (op) {
  case Eq: return x == y;
  case Ne: return x != y;
  case Lt: return x < y;
  case Le: return x <= y;
  case Gt: return x > y;
  default: return x >= y;
  }
}

#pragma clang fp contract(fast)
