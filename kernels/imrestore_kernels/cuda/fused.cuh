// a b + c rounded once, for both types: the compiler's own fusing may not happen, and other sums depend on it.
#pragma once

__device__ __forceinline__ float fused(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double fused(double a, double b, double c) { return fma(a, b, c); }
