// Pixels covered by strokes, boxes and letters.
//
// The threads of a block look which shapes reach their tile, one shape each, and list them in shared memory; then every thread
// looks at those for its pixels. The order of the list does not matter.
#include "dtypes.cuh"
#include "elementary.cuh"
#include "job_tiles.cuh"

#define THREADS (TILE * ROWS)
enum { STROKE, BOX, GLYPH };
enum { FILL, NOTHING, MASK };

__device__ const unsigned long long dots[] = {GLYPH_BITS};

// May the shape cover any of the rows and columns from first to last? Strokes and glyphs are taken a pixel too wide, so that
// rounding decides nothing.
__device__ __forceinline__ bool reaches(const T* shape, T first_y, T last_y, T first_x, T last_x) {
    if (shape[0] == BOX) return shape[1] <= last_y && first_y < shape[2] && shape[3] <= last_x && first_x < shape[4];
    T top = shape[1], left = shape[2], bottom, right, around = 1;
    if (shape[0] == STROKE) {
        bottom = shape[3], right = shape[4], around += shape[5];
        if (top > bottom) top = shape[3], bottom = shape[1];
        if (left > right) left = shape[4], right = shape[2];
    } else {
        bottom = top + mul(T(GLYPH_ROWS), shape[3]), right = left + mul(T(GLYPH_COLUMNS), shape[3]);
    }
    return top - around <= last_y && first_y <= bottom + around && left - around <= last_x && first_x <= right + around;
}

__device__ __forceinline__ bool covers(const T* shape, T y, T x) {
    if (shape[0] == BOX) return y >= shape[1] && y < shape[2] && x >= shape[3] && x < shape[4];
    const T dy = y - shape[1], dx = x - shape[2];
    if (shape[0] == STROKE) {
        const T down = shape[3] - shape[1], across = shape[4] - shape[2], square = mul(down, down) + mul(across, across);
        const T share = square > 0 ? T(1) / square : T(0);
        T t = mul(mul(dx, across) + mul(dy, down), share);
        t = t > 0 ? t : T(0);
        t = t < 1 ? t : T(1);
        const T py = dy - mul(t, down), px = dx - mul(t, across);
        return mul(py, py) + mul(px, px) <= mul(shape[5], shape[5]);
    }
    const T row = dy / shape[3], column = dx / shape[3];
    if (!(row >= 0 && row < GLYPH_ROWS && column >= 0 && column < GLYPH_COLUMNS)) return false;
    return dots[int(shape[4])] >> (GLYPH_COLUMNS * int(row) + int(column)) & 1;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    missing_shapes(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    SHARED_MEMORY(memory);
    int* const list = reinterpret_cast<int*>(memory);  // THREADS shapes and their number
    int* const listed = list + THREADS;
    const int thread = threadIdx.y * TILE + threadIdx.x;
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const Tiles tiles(job);
        const long long shapes = job[JOB_B];
        // Of an adjoint the result's gradient, at DST, is what comes in.
        const long long come = job[WHAT == NOTHING ? JOB_DST : JOB_SRC], go = job[WHAT == NOTHING ? JOB_SRC : JOB_DST];
        for (unsigned tile = blockIdx.x; tile < tiles.count; tile += gridDim.x) {
            const long long top = tiles.top(tile), left = tiles.left(tile), x = left + threadIdx.x;
            unsigned covered = 0;  // a bit for each pixel of the thread
            for (long long first = 0; first < shapes; first += THREADS) {
                __syncthreads();
                if (thread == 0) *listed = 0;
                __syncthreads();
                const T* const some = table + job[JOB_A] + first * SHAPE;
                if (first + thread < shapes &&
                    reaches(some + thread * SHAPE, T(top), T(top + TILE - 1), T(left), T(left + TILE - 1)))
                    list[atomicAdd(listed, 1)] = thread;
                __syncthreads();
                for (int k = 0; k < *listed; ++k)
#pragma unroll
                    for (int i = 0; i < PIXELS; ++i)
                        covered |= unsigned(covers(some + list[k] * SHAPE, T(top + threadIdx.y + i * ROWS), T(x))) << i;
            }
            if (x >= tiles.width) continue;
            for (long long c = 0; c < job[JOB_CHANNELS]; ++c) {
                const T fill = WHAT == NOTHING ? T(0) : WHAT == MASK ? T(1) : job[JOB_C] ? table[job[JOB_D] + c] : T(numbers[j * JOB_COLUMNS]);
#pragma unroll
                for (int i = 0; i < PIXELS; ++i) {
                    const long long y = top + threadIdx.y + i * ROWS;
                    if (y >= tiles.height) continue;
                    const long long at = (c * tiles.height + y) * tiles.width + x;
                    dst[go + at] = covered >> i & 1 ? fill : WHAT == MASK ? T(0) : src[come + at];
                }
            }
        }
    }
}
