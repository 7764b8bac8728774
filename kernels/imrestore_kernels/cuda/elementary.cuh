// Our own exp, log, sine, cosine and power: the operations of imrestore_kernels/elementary.py in their order.
//
// Each operation is rounded on its own, whatever the compiler may fuse: a product that meets an addition goes through mul().
// Constants are those of the Python module, to the bit; the tests compare the results.
#pragma once

__device__ __forceinline__ float mul(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ double mul(double a, double b) { return __dmul_rn(a, b); }

template <class V, int N>
__device__ __forceinline__ V horner(const V (&c)[N], V x) {
    V result = c[N - 1];
#pragma unroll
    for (int i = N - 2; i >= 0; --i) result = c[i] + mul(x, result);
    return result;
}

template <class V>
struct Real;

template <>
struct Real<float> {
    typedef int whole;
    static constexpr int DIGITS = 32, MANTISSA = 23, BIAS = 127, LIFT = 25;
    static constexpr whole SQRT_HALF = 0x3F3504F3, SPLIT = ~0xFFF, INFINITE = 0x7F800000, NOT_A_NUMBER = 0x7FC00000;
    static constexpr float MAGIC = 12582912.0f, TINY = 0x1p-126f, LIFTING = 0x1p25f;
    static constexpr float EXP2_LOW = -151.0f, EXP2_HIGH = 128.5f, EXP_LOW = -105.0f, EXP_HIGH = 89.5f;
    static constexpr float LN2_HIGH = 0.693145751953125f, LN2_LOW = 1.42860682030941723212e-6f;
    static __device__ __forceinline__ whole bits(float v) { return (whole)__float_as_uint(v); }
    static __device__ __forceinline__ float of_bits(whole v) { return __uint_as_float((unsigned)v); }
    static __device__ __forceinline__ float nearest(float v) { return rintf(v); }
    static __device__ __forceinline__ float root(float v) { return sqrtf(v); }
    static __device__ __forceinline__ float below(float v) { return floorf(v); }
    static __device__ __forceinline__ float exp2(float f) {
        const float c[] = {0.6931471824645996f,     0.24022647738456726f,   0.055503323674201965f,
                           0.009618435986340046f,   0.0013398852897807956f, 0.00015353586059063673f};
        return horner(c, f);
    }
    static __device__ __forceinline__ float exp(float r) {
        const float c[] = {0.5f, 0.1666651964187622f, 0.04166620597243309f, 0.00836890283972025f, 0.0013950502034276724f};
        return horner(c, r);
    }
    static __device__ __forceinline__ float log(float z) {
        const float c[] = {0.666667640209198f, 0.39978644251823425f, 0.2984663248062134f};
        return horner(c, z);
    }
    static __device__ __forceinline__ float sine(float z) {
        const float c[] = {6.2831854820251465f, -41.3416633605957f, 81.5925521850586f, -75.40206909179688f};
        return horner(c, z);
    }
    static __device__ __forceinline__ float cosine(float z) {
        const float c[] = {-19.739208221435547f, 64.93933868408203f, -85.44503784179688f, 59.28679275512695f};
        return horner(c, z);
    }
};

template <>
struct Real<double> {
    typedef long long whole;
    static constexpr int DIGITS = 64, MANTISSA = 52, BIAS = 1023, LIFT = 54;
    static constexpr whole SQRT_HALF = 0x3FE6A09E667F3BCDll, SPLIT = ~0x7FFFFFFll;
    static constexpr whole INFINITE = 0x7FF0000000000000ll, NOT_A_NUMBER = 0x7FF8000000000000ll;
    static constexpr double MAGIC = 6755399441055744.0, TINY = 0x1p-1022, LIFTING = 0x1p54;
    static constexpr double EXP2_LOW = -1076.0, EXP2_HIGH = 1024.5, EXP_LOW = -746.0, EXP_HIGH = 710.5;
    static constexpr double LN2_HIGH = 0.6931471803691238, LN2_LOW = 1.9082149292705877e-10;
    static __device__ __forceinline__ whole bits(double v) { return __double_as_longlong(v); }
    static __device__ __forceinline__ double of_bits(whole v) { return __longlong_as_double(v); }
    static __device__ __forceinline__ double nearest(double v) { return rint(v); }
    static __device__ __forceinline__ double root(double v) { return sqrt(v); }
    static __device__ __forceinline__ double below(double v) { return floor(v); }
    static __device__ __forceinline__ double exp2(double f) {
        const double c[] = {0.6931471805599453,     0.2402265069591013,     0.05550410866482009,    0.009618129107594178,
                            0.0013333558146772573,  0.00015403530457048454, 1.5252733494702148e-05, 1.3215435310480685e-06,
                            1.0178199024793711e-07, 7.07377886670731e-09,   4.4348419741223783e-10};
        return horner(c, f);
    }
    static __device__ __forceinline__ double exp(double r) {
        const double c[] = {0.5,                    0.166666666666667,      0.041666666666520524,   0.00833333333330775,
                            0.0013888888945962222,  0.00019841269916412126, 2.4801490822399144e-05, 2.7557217025560215e-06,
                            2.763102378358482e-07,  2.5117667703175856e-08};
        return horner(c, r);
    }
    static __device__ __forceinline__ double log(double z) {
        const double c[] = {0.6666666666666698,  0.3999999999961427, 0.28571428703199375, 0.222222022197943,
                            0.18183389447220036, 0.1531823005703077, 0.1475652920661092};
        return horner(c, z);
    }
    static __device__ __forceinline__ double sine(double z) {
        const double c[] = {6.283185307179586,  -41.341702240399634, 81.60524927594811, -76.70585970429562,
                            42.058685022760834, -15.093804357888196, 3.780872114406726};
        return horner(c, z);
    }
    static __device__ __forceinline__ double cosine(double z) {
        const double c[] = {-19.739208802178716, 64.93939402266814, -85.45681720659071, 60.244641340674015,
                            -26.426251971408448, 7.903139482770435, -1.69769871088228};
        return horner(c, z);
    }
};

template <class V>
__device__ __forceinline__ V clamped(V x, V low, V high) {  // NaN stays
    x = x < low ? low : x;
    return x > high ? high : x;
}

// value 2^exponent in two steps: neither overflows, and only the second one rounds.
template <class V>
__device__ __forceinline__ V scaled(V value, typename Real<V>::whole exponent) {
    typedef Real<V> R;
    typedef typename R::whole whole;
    const whole half = exponent >> 1;
    value = mul(value, R::of_bits((half + R::BIAS) << R::MANTISSA));
    return mul(value, R::of_bits((exponent - half + R::BIAS) << R::MANTISSA));
}

template <class V>
__device__ __forceinline__ typename Real<V>::whole low_bits(V shifted) {
    return Real<V>::bits(shifted) - Real<V>::bits(Real<V>::MAGIC);
}

template <class V>
__device__ __forceinline__ V power_of_rest(V rest, typename Real<V>::whole exponent) {
    return scaled(V(1) + mul(rest, Real<V>::exp2(rest)), exponent);
}

template <class V>
__device__ __forceinline__ V own_exp2(V x) {
    typedef Real<V> R;
    const V y = clamped(x, R::EXP2_LOW, R::EXP2_HIGH), shifted = y + R::MAGIC;
    return power_of_rest(y - (shifted - R::MAGIC), low_bits(shifted));
}

template <class V>
__device__ __forceinline__ V own_exp(V x) {
    typedef Real<V> R;
    const V y = clamped(x, R::EXP_LOW, R::EXP_HIGH), shifted = mul(y, V(1.4426950408889634)) + R::MAGIC;
    const V n = shifted - R::MAGIC;
    const V rest = (y - mul(n, R::LN2_HIGH)) - mul(n, R::LN2_LOW);
    const V value = V(1) + (rest + mul(mul(rest, rest), R::exp(rest)));
    return scaled(value, low_bits(shifted));
}

// x = 2^exponent (1 + f) and ln(1 + f) = f - c.
template <class V>
struct LogParts {
    V exponent, f, c;
    __device__ __forceinline__ LogParts(V x) {
        typedef Real<V> R;
        typedef typename R::whole whole;
        const bool tiny = x < R::TINY;
        const whole above = R::bits(tiny ? mul(x, R::LIFTING) : x) - R::SQRT_HALF;
        exponent = V((above >> R::MANTISSA) - (tiny ? R::LIFT : 0));
        f = R::of_bits((above & ((whole(1) << R::MANTISSA) - 1)) + R::SQRT_HALF) - V(1);
        const V s = f / (V(2) + f);
        const V z = mul(s, s);
        const V half_square = mul(mul(V(0.5), f), f);
        c = half_square - mul(s, half_square + mul(z, R::log(z)));
    }
    __device__ __forceinline__ V log2_of_mantissa() const {
        return f + (mul(f, V(0.4426950408889634)) - mul(c, V(1.4426950408889634)));
    }
};

template <class V>
__device__ __forceinline__ V special_logs(V x, V value) {
    typedef Real<V> R;
    value = x < R::of_bits(R::INFINITE) ? value : x;  // NaN, too
    value = x == V(0) ? -R::of_bits(R::INFINITE) : value;
    return x < V(0) ? R::of_bits(R::NOT_A_NUMBER) : value;
}

template <class V>
__device__ __forceinline__ V joined_log(const LogParts<V>& parts) {
    const V less = (parts.c - mul(parts.exponent, Real<V>::LN2_LOW)) - parts.f;
    return mul(parts.exponent, Real<V>::LN2_HIGH) - less;
}

template <class V>
__device__ __forceinline__ V own_log(V x) {
    return special_logs(x, joined_log(LogParts<V>(x)));
}

template <class V>
__device__ __forceinline__ V own_log2(V x) {
    const LogParts<V> parts(x);
    return special_logs(x, parts.exponent + parts.log2_of_mantissa());
}

// Of 2 pi turns.
template <class V>
__device__ __forceinline__ void own_sincos(V turns, V& sine, V& cosine) {
    typedef Real<V> R;
    typedef typename R::whole whole;
    const V part = turns - R::nearest(turns);
    const V shifted = mul(V(4), part) + R::MAGIC;
    const V rest = part - mul(shifted - R::MAGIC, V(0.25));
    const V square = mul(rest, rest);
    const V s = mul(rest, R::sine(square)), c = V(1) + mul(square, R::cosine(square));
    const whole quarter = R::bits(shifted) & 3;
    const bool odd = quarter & 1;
    const whole top = R::bits(V(-0.0));
    sine = R::of_bits(R::bits(odd ? c : s) ^ (quarter & 2 ? top : 0));
    cosine = R::of_bits(R::bits(odd ? s : c) ^ ((quarter + 1) & 2 ? top : 0));
}

// x**p for x >= 0 and finite p, else NaN; 0**0 is 1.
template <class V>
__device__ __forceinline__ V own_power(V x, V p) {
    typedef Real<V> R;
    const LogParts<V> parts(x);
    const V high = R::of_bits(R::bits(p) & R::SPLIT);
    V first = mul(high, parts.exponent);  // exact
    V second = mul(p - high, parts.exponent) + mul(p, parts.log2_of_mantissa());
    const V large = mul(V(4), R::EXP2_HIGH);
    if (x == V(0) || x == R::of_bits(R::INFINITE)) {
        first = (p > V(0)) == (x == V(0)) ? -large : large;
        second = V(0);
    }
    const V total = first + second;
    const V y = clamped(total, R::EXP2_LOW, R::EXP2_HIGH), shifted = y + R::MAGIC;
    const V n = shifted - R::MAGIC;
    const V rest = y == total ? (first - n) + second : y - n;
    const V value = x >= V(0) ? power_of_rest(rest, low_bits(shifted)) : R::of_bits(R::NOT_A_NUMBER);
    return p == V(0) ? V(1) : value;
}
