// Transforms of 8 samples and back, in registers: the matrices of patch_transforms.py.
//
// Macro: DCT 1 (cosine transform) or 0 (biorthogonal wavelet 1.5).
#pragma once

#if DCT
// Rows of the matrix are even or odd, so samples are folded first: 36 operations instead of 120.
constexpr float C1 = 0.49039264020161522f, C2 = 0.46193976625564337f, C3 = 0.41573480615127262f, C4 = 0.35355339059327379f,
                C5 = 0.27778511650980114f, C6 = 0.19134171618254492f, C7 = 0.097545161008064124f;  // cos(k pi / 16) / 2

__device__ __forceinline__ void forward_transform(float (&v)[8]) {
    const float s0 = v[0] + v[7], s1 = v[1] + v[6], s2 = v[2] + v[5], s3 = v[3] + v[4];
    const float t0 = v[0] - v[7], t1 = v[1] - v[6], t2 = v[2] - v[5], t3 = v[3] - v[4];
    const float e0 = s0 + s3, e1 = s1 + s2, o0 = s0 - s3, o1 = s1 - s2;
    v[0] = C4 * (e0 + e1);
    v[4] = C4 * (e0 - e1);
    v[2] = C2 * o0 + C6 * o1;
    v[6] = C6 * o0 - C2 * o1;
    v[1] = C1 * t0 + C3 * t1 + C5 * t2 + C7 * t3;
    v[3] = C3 * t0 - C7 * t1 - C1 * t2 - C5 * t3;
    v[5] = C5 * t0 - C1 * t1 + C7 * t2 + C3 * t3;
    v[7] = C7 * t0 - C5 * t1 + C3 * t2 - C1 * t3;
}

__device__ __forceinline__ void inverse_transform(float (&v)[8]) {
    const float e0 = C4 * (v[0] + v[4]), e1 = C4 * (v[0] - v[4]);
    const float o0 = C2 * v[2] + C6 * v[6], o1 = C6 * v[2] - C2 * v[6];
    const float s0 = e0 + o0, s1 = e1 + o1, s2 = e1 - o1, s3 = e0 - o0;
    const float t0 = C1 * v[1] + C3 * v[3] + C5 * v[5] + C7 * v[7];
    const float t1 = C3 * v[1] - C7 * v[3] - C1 * v[5] - C5 * v[7];
    const float t2 = C5 * v[1] - C1 * v[3] + C7 * v[5] + C3 * v[7];
    const float t3 = C7 * v[1] - C5 * v[3] + C3 * v[5] - C1 * v[7];
    v[0] = s0 + t0;
    v[7] = s0 - t0;
    v[1] = s1 + t1;
    v[6] = s1 - t1;
    v[2] = s2 + t2;
    v[5] = s2 - t2;
    v[3] = s3 + t3;
    v[4] = s3 - t3;
}
#else
// The low-pass is Haar's plus 22/128 of the differences beside it; its outermost taps meet on 8 periodic samples and cancel, and
// on 4 and 2 samples all that is left is Haar's. So there is one step of lifting, and then sums and differences.
constexpr float LIFT = 22.0f / 128.0f;
// 1 / norm of the rows of plain sums and differences: 8, 8 + 32 LIFT^2, 4 + 8 LIFT^2 and 2, each under the root.
constexpr float NORM_SUM = 0.35355339059327379f, NORM_HALF = 0.33435070362285835f, NORM_QUARTER = 0.48585335325256207f,
                NORM_PAIR = 0.70710678118654752f;

__device__ __forceinline__ void forward_transform(float (&v)[8]) {
    const float d0 = v[0] - v[1], d1 = v[2] - v[3], d2 = v[4] - v[5], d3 = v[6] - v[7];
    const float u = LIFT * (d1 - d3), w = LIFT * (d2 - d0);
    const float s0 = v[0] + v[1] + u, s1 = v[2] + v[3] + w, s2 = v[4] + v[5] - u, s3 = v[6] + v[7] - w;
    const float p = s0 + s1, q = s2 + s3;
    v[0] = NORM_SUM * (p + q);
    v[1] = NORM_HALF * (p - q);
    v[2] = NORM_QUARTER * (s0 - s1);
    v[3] = NORM_QUARTER * (s2 - s3);
    v[4] = NORM_PAIR * d0;
    v[5] = NORM_PAIR * d1;
    v[6] = NORM_PAIR * d2;
    v[7] = NORM_PAIR * d3;
}

__device__ __forceinline__ void inverse_transform(float (&v)[8]) {
    // Halves of sums and differences, so that (s + d) / 2 is one addition.
    const float sum = v[0] * (0.125f / NORM_SUM), half = v[1] * (0.125f / NORM_HALF);
    const float p = sum + half, q = sum - half, r = v[2] * (0.25f / NORM_QUARTER), t = v[3] * (0.25f / NORM_QUARTER);
    const float d0 = v[4] * (0.5f / NORM_PAIR), d1 = v[5] * (0.5f / NORM_PAIR), d2 = v[6] * (0.5f / NORM_PAIR),
                d3 = v[7] * (0.5f / NORM_PAIR);
    const float u = LIFT * (d1 - d3), w = LIFT * (d2 - d0);
    const float a0 = p + r - u, a1 = p - r - w, a2 = q + t + u, a3 = q - t + w;
    v[0] = a0 + d0;
    v[1] = a0 - d0;
    v[2] = a1 + d1;
    v[3] = a1 - d1;
    v[4] = a2 + d2;
    v[5] = a2 - d2;
    v[6] = a3 + d3;
    v[7] = a3 - d3;
}
#endif
