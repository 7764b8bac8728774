// Noise and other damage of single pixels. A thread makes one block of four words, for four values of a field that are 16 apart;
// rows of the grid stride over the samples. Everything may work in place.
//
// Macro: T float or double.
#include "poisson.cuh"

typedef long long Index;

enum Column { SRC, DST, CHANNELS, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, SEED, INDEX, STREAM, A, B };
enum { COLUMNS = 16, SHARED = -2 };

// One sample: its row of numbers, and its planes as a field of random numbers sees them.
struct Sample {
    const Index* job;
    const double* numbers;
    Index plane, planes;

    __device__ __forceinline__ Sample(const Index* jobs, const double* all, Index number, bool (*flat)(const Index*))
        : job(jobs + COLUMNS * number), numbers(all + COLUMNS * number) {
        plane = job[HEIGHT] * job[WIDTH];
        planes = job[CHANNELS];
        if (flat(job)) {
            plane *= planes;
            planes = 1;
        }
    }
    __device__ __forceinline__ Philox stream(int which) const { return Philox(job[SEED], job[INDEX], job[STREAM] + which); }
    __device__ __forceinline__ T number(int i) const { return T(numbers[i]); }
};

__device__ __forceinline__ bool always(const Index*) { return true; }
__device__ __forceinline__ bool never(const Index*) { return false; }
__device__ __forceinline__ bool own_numbers(const Index* job) { return job[A] != SHARED; }
__device__ __forceinline__ bool own_hits(const Index* job) { return job[B] == 0; }

// work(sample) for every sample that this row of the grid does.
template <class Work>
__device__ __forceinline__ void each_sample(
    const Index* jobs, const double* numbers, Index count, bool (*flat)(const Index*), Work work) {
    for (Index number = blockIdx.y; number < count; number += gridDim.y) work(Sample(jobs, numbers, number, flat));
}

// work(block, first value) for every block of the field of a plane.
template <class Work>
__device__ __forceinline__ void each_block(Index plane, Work work) {
    const Index blocks = (plane + 63) / 64 * 16;
    for (Index b = Index(blockIdx.x) * blockDim.x + threadIdx.x; b < blocks; b += Index(gridDim.x) * blockDim.x)
        work(unsigned(b), b / 16 * 64 + b % 16);
}

template <class Work>
__device__ __forceinline__ void each_value(Index plane, Work work) {
    for (Index p = Index(blockIdx.x) * blockDim.x + threadIdx.x; p < plane; p += Index(gridDim.x) * blockDim.x) work(p);
}

// x + L n. Up to four channels keep their normal numbers; of more, every channel makes them anew.
enum { KEPT = 4 };

__device__ __forceinline__ void correlated_noise(const T* src, T* dst, const T* matrix, const Sample& s) {
    const Philox philox = s.stream(0);
    each_value(s.plane, [&](Index p) {
        float n[KEPT];
#pragma unroll
        for (int k = 0; k < KEPT; ++k) n[k] = k < s.planes && s.planes <= KEPT ? philox.normal(k * s.plane + p) : 0.0f;
        for (Index c = 0; c < s.planes; ++c) {
            T total = T(0);
            const T* const weights = matrix + c * s.planes;
            if (s.planes <= KEPT) {
#pragma unroll
                for (int k = 0; k < KEPT; ++k)
                    if (k < s.planes) total = k ? total + mul(weights[k], T(n[k])) : mul(weights[k], T(n[k]));
            } else {
                for (Index k = 0; k < s.planes; ++k) {
                    const T part = mul(weights[k], T(philox.normal(k * s.plane + p)));
                    total = k ? total + part : part;
                }
            }
            const Index at = c * s.plane + p;
            dst[s.job[DST] + at] = src[s.job[SRC] + at] + total;
        }
    });
}

// x + s n, or x (1 + s n) as a factor, between two columns, so that the adjoint goes the other way; or x + L n.
extern "C" __global__ void normal_noise(const T* src, T* dst, const Index* jobs, const double* numbers, const T* table,
                                        Index count, int factor, int origin, int target) {
    each_sample(jobs, numbers, count, own_numbers, [&](const Sample& s) {
        if (!factor && s.job[A] >= 0) {
            correlated_noise(src, dst, table + s.job[A], Sample(jobs, numbers, (s.job - jobs) / COLUMNS, never));
            return;
        }
        const Philox philox = s.stream(0);
        const T scale = s.number(0);
        each_block(s.plane, [&](unsigned block, Index first) {
            unsigned words[4];
            float n[4];
            philox.words(block, words);
            Philox::normals(words, n);
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const Index p = first + 16 * j;
                if (p >= s.plane) break;
                const T noise = mul(scale, T(n[j]));
                for (Index at = p; at < s.planes * s.plane; at += s.plane) {
                    const T x = src[s.job[origin] + at];
                    dst[s.job[target] + at] = factor ? mul(x, T(1) + noise) : x + noise;
                }
            }
        });
    });
}

// BT.601 of the first three channels, or the mean.
__device__ __forceinline__ T grey_of(const T* x, Index plane, Index planes) {
    if (planes >= 3) return (mul(T(0.299), x[0]) + mul(T(0.587), x[plane])) + mul(T(0.114), x[2 * plane]);
    return planes == 1 ? x[0] : (x[0] + x[plane]) / T(2);
}

extern "C" __global__ void poisson_noise(const T* src, T* dst, const Index* jobs, const double* numbers, Index count) {
    each_sample(jobs, numbers, count, own_numbers, [&](const Sample& s) {
        const Philox shot = s.stream(0), reading = s.stream(1);
        const T gain = s.number(0), read = s.number(1), offset = s.number(2), factor = T(1) + s.number(3);
        const T part = T(1) / gain;
        const bool grey = s.job[A] == SHARED;
        each_block(s.plane, [&](unsigned block, Index first) {
            unsigned words[4], others[4];
            float n[4];
            shot.words(block, words);
            reading.words(block, others);
            Philox::normals(others, n);
#pragma unroll 1
            for (int j = 0; j < 4; ++j) {
                const Index p = first + 16 * j;
                if (p >= s.plane) break;
                const T* const from = src + s.job[SRC] + p;
                T* const to = dst + s.job[DST] + p;
                const T before = grey ? grey_of(from, s.plane, s.planes) : *from;
                T value = before;
                if (gain != T(0)) {
                    const T above = before - offset;
                    const T mean = mul(above < T(0) ? T(0) : above, part);
                    value = mul(gain, poisson_count(mean, Philox::chosen(words, j))) + offset;
                }
                if (read != T(0)) value = value + mul(read, T(Philox::chosen(n, j)));
                if (factor != T(1)) value = before + mul(factor, value - before);
                if (!grey) {
                    *to = value;
                    continue;
                }
                const T difference = value - before;
                for (Index at = 0; at < s.planes * s.plane; at += s.plane) to[at] = from[at] + difference;
            }
        });
    });
}

// Words below it are as likely as `chance`.
__device__ __forceinline__ Index threshold(double chance) {
    const double most = 4294967296.0;
    const double limit = -floor(0.5 - mul(chance, most));
    return Index(limit > 0.0 ? (limit < most ? limit : most) : 0.0);
}

extern "C" __global__ void impulse_noise(const T* src, T* dst, const Index* jobs, const double* numbers, Index count) {
    each_sample(jobs, numbers, count, own_hits, [&](const Sample& s) {
        const Philox where = s.stream(0), what = s.stream(1);
        const Index limit = threshold(s.numbers[0]), salt = threshold(s.numbers[1]);
        const T low = s.number(2), high = s.number(3);
        const bool random = s.job[A] != 0;
        each_block(s.plane, [&](unsigned block, Index first) {
            unsigned hit[4], words[4];
            where.words(block, hit);
            if (!random) what.words(block, words);
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const Index p = first + 16 * j;
                if (p >= s.plane) break;
                for (Index at = p; at < s.planes * s.plane; at += s.plane) {
                    T value = src[s.job[SRC] + at];
                    if (Index(hit[j]) < limit) {
                        if (random)
                            value = low + mul(high - low, Philox::uniform<T>(what.word(at)));
                        else
                            value = Index(words[j]) < salt ? high : low;
                    }
                    dst[s.job[DST] + at] = value;
                }
            }
        });
    });
}

extern "C" __global__ void impulse_adjoint(const T* src, T* dst, const Index* jobs, const double* numbers, Index count) {
    each_sample(jobs, numbers, count, own_hits, [&](const Sample& s) {
        const Philox where = s.stream(0);
        const Index limit = threshold(s.numbers[0]);
        each_block(s.plane, [&](unsigned block, Index first) {
            unsigned hit[4];
            where.words(block, hit);
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const Index p = first + 16 * j;
                if (p >= s.plane) break;
                for (Index at = p; at < s.planes * s.plane; at += s.plane)
                    dst[s.job[SRC] + at] = Index(hit[j]) < limit ? T(0) : src[s.job[DST] + at];
            }
        });
    });
}

// What is added to every row or column; `offsets` holds `room` values for each sample.
extern "C" __global__ void line_offsets(T* offsets, const Index* jobs, const double* numbers, Index count, Index room) {
    each_sample(jobs, numbers, count, never, [&](const Sample& s) {
        const Index length = s.job[A] == 1 ? s.job[WIDTH] : s.job[HEIGHT];
        const Index lines = s.job[B] == 1 ? length : length * s.planes;
        T* const own = offsets + room * ((s.job - jobs) / COLUMNS);
        const Philox philox = s.stream(0);
        each_value(lines, [&](Index line) {
            T value = mul(s.number(0), T(philox.normal(line)));
            if (s.numbers[1] != 0.0) {
                const double phase = double(line % length) / s.numbers[2] + s.numbers[3];
                T sine, cosine;
                own_sincos(T(phase - rint(phase)), sine, cosine);
                value = value + mul(s.number(1), sine);
            }
            own[line] = value;
        });
    });
}

extern "C" __global__ void add_lines(
    const T* src, T* dst, const T* offsets, const Index* jobs, const double* numbers, Index count, Index room) {
    each_sample(jobs, numbers, count, never, [&](const Sample& s) {
        const unsigned height = unsigned(s.job[HEIGHT]), width = unsigned(s.job[WIDTH]);
        const bool upright = s.job[A] == 1, same = s.job[B] == 1;
        const T* const own = offsets + room * ((s.job - jobs) / COLUMNS);
        each_value(s.plane, [&](Index p) {
            const Index line = upright ? unsigned(p) % width : unsigned(p) / width;
            for (Index c = 0; c < s.planes; ++c) {
                const Index at = c * s.plane + p;
                const T added = own[same ? line : c * (upright ? width : height) + line];
                dst[s.job[DST] + at] = src[s.job[SRC] + at] + added;
            }
        });
    });
}

extern "C" __global__ void quantize(const T* src, T* dst, const Index* jobs, const double* numbers, Index count) {
    each_sample(jobs, numbers, count, always, [&](const Sample& s) {
        const T step = s.number(0), low = s.number(1);
        each_value(s.plane, [&](Index p) {
            const T level = Real<T>::nearest((src[s.job[SRC] + p] - low) / step);
            dst[s.job[DST] + p] = mul(level, step) + low;
        });
    });
}

extern "C" __global__ void clip(const T* src, T* dst, const Index* jobs, const double* numbers, Index count) {
    each_sample(jobs, numbers, count, always, [&](const Sample& s) {
        each_value(s.plane, [&](Index p) { dst[s.job[DST] + p] = clamped(src[s.job[SRC] + p], s.number(0), s.number(1)); });
    });
}

extern "C" __global__ void clip_gradient(
    const T* src, T* dst, const Index* jobs, const double* numbers, const T* image, Index count) {
    each_sample(jobs, numbers, count, always, [&](const Sample& s) {
        const T low = s.number(0), high = s.number(1);
        each_value(s.plane, [&](Index p) {
            const T x = image[s.job[SRC] + p];
            dst[s.job[SRC] + p] = x >= low && x <= high ? src[s.job[DST] + p] : T(0);
        });
    });
}
