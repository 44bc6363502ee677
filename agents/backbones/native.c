/* New tokens through the layers of a Llama-type model: see native.py.

Between two products of a small model torch spends more time on starting operations than on computing. Here a token's
layers are one call, whose products keep up to eight rows in registers while a panel of weights goes by. Weights of
large models, from which generation reads all of memory for a few rows, are bfloat16 where the processor has products of
that type: then a panel goes by as fast as memory gives it. */

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined __AMX_BF16__ && defined __linux__
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define TILES
#endif

#if defined __AVX512F__
#define LANES 16 /* floats of a register */
#define ROWS 8   /* of a tile: with two registers each they, the weights and a factor fill the machine's */
#elif defined __AVX__
#define LANES 8
#define ROWS 6
#elif defined __aarch64__
#define LANES 4
#define ROWS 8
#else
#define LANES 4
#define ROWS 6
#endif
#define PANEL 32 /* columns of the weights that lie together */
#define BLOCK (32 * PANEL) /* bfloat16 weights of a panel that lie together: 2 halves of 16 pairs of inputs, 16 columns */
#define WIDE (2 * LANES)
#ifdef _OPENMP
#include <omp.h>
#define THREAD omp_get_thread_num()
#else
#define THREAD 0
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    const void *mix, *out, *widen, *narrow; /* panels of float or, where the model says half, of bfloat16 */
    const float *mix_bias, *out_bias, *widen_bias, *narrow_bias; /* or null */
    const float *before, *between, *query_norm, *key_norm; /* weights of norms; the last two may be null */
    float *keys, *values; /* (rows, key heads, window, size) */
} Layer;

typedef struct {
    int64_t layers, hidden, inner, heads, key_heads, size, window, words, positions, half, threads;
    float scale, epsilon;
    const float *embedding, *cos, *sin, *norm; /* cos (positions, size), sin (positions, size / 2) */
} Model;

static inline vec load(const float *from) { return *(const vec *)from; }
static inline void put(float *to, vec values) { *(vec *)to = values; }

static inline __attribute__((always_inline)) vec crossed(vec values, const int distance) {
#ifdef __clang__
    vec found;
    for (int i = 0; i < LANES; i++) found[i] = values[i ^ distance];
    return found;
#else
    ints places;
    for (int i = 0; i < LANES; i++) places[i] = i ^ distance;
    return __builtin_shuffle(values, places);
#endif
}

static inline __attribute__((always_inline)) float total(vec values) {
#if LANES > 8
    values += crossed(values, 8);
#endif
#if LANES > 4
    values += crossed(values, 4);
#endif
    values += crossed(values, 2);
    values += crossed(values, 1);
    return values[0];
}

/* of each lane the larger; what is no number in the second stays so */
static inline vec larger(float one, vec other) {
    vec all = (vec){0} + one;
    ints first = (ints)(all > other); /* all bits where it is */
    return (vec)(((ints)all & first) | ((ints)other & ~first));
}

/* exp(x) to two units in the last place, for x from -87 to 88 (Moshier, Cephes, expf) */
static inline vec exponential(vec x) {
    x = -larger(-88.0f, -larger(-87.0f, x));
    vec whole = (x * 1.44269504088896341f + 12582912.0f) - 12582912.0f, power = x - x;
    x -= whole * 0.693359375f;
    x -= whole * -2.12194440e-4f;
    power += 1.9875691500e-4f;
    power = power * x + 1.3981999507e-3f;
    power = power * x + 8.3334519073e-3f;
    power = power * x + 4.1665795894e-2f;
    power = power * x + 1.6666665459e-1f;
    power = power * x + 5.0000001201e-1f;
    power = power * x * x + x + 1.0f;
    ints bits = (__builtin_convertvector(whole, ints) + 127) << 23;
    return power * *(vec *)&bits;
}

static inline __attribute__((always_inline)) void tile(const int rows, int64_t in, int64_t out, const float *x,
                                                       const float *panel, const float *bias, int onto, float *y) {
    vec low[ROWS], high[ROWS];
    for (int r = 0; r < rows; r++) low[r] = high[r] = (vec){0};
    for (int64_t i = 0; i < in; i++) {
        vec first = load(panel + i * PANEL), second = load(panel + i * PANEL + LANES);
        for (int r = 0; r < rows; r++) {
            float factor = x[r * in + i];
            low[r] += factor * first;
            high[r] += factor * second;
        }
    }
    for (int r = 0; r < rows; r++) {
        if (bias) low[r] += load(bias), high[r] += load(bias + LANES);
        if (onto) low[r] += load(y + r * out), high[r] += load(y + r * out + LANES);
        put(y + r * out, low[r]);
        put(y + r * out + LANES, high[r]);
    }
}

/* a panel's columns of y (n, out) = or += x (n, in) panel (in, PANEL) + bias; bias may be null */
static void columns(int64_t n, int64_t in, int64_t out, const float *x, const float *panel, const float *bias, int onto,
                    float *y) {
    for (int64_t column = 0; column < PANEL; column += WIDE)
        for (int64_t row = 0; row < n; row += ROWS) {
            const float *from = x + row * in, *b = bias ? bias + column : 0;
            float *to = y + row * out + column;
            switch (n - row < ROWS ? n - row : ROWS) {
#define TILE(rows) case rows: tile(rows, in, out, from, panel + column, b, onto, to); break;
                TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if ROWS == 8
                TILE(7) TILE(8)
#endif
            }
        }
}

/* the bfloat16 nearest to a float */
static inline uint16_t rounded(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/* As `columns`, from a panel of bfloat16 weights (in / 32, 2, 16, 16, 2); bias is not for what goes onto y. */
#ifdef TILES
static void half_columns(int64_t n, int64_t in, int64_t out, const uint16_t *x, const uint16_t *panel,
                         const float *bias, int onto, float *y) {
    for (int64_t row = 0; row < n; row += 32) {
        int64_t upper = n - row < 16 ? n - row : 16, lower = n - row < 32 ? n - row - upper : 16;
        const uint16_t *high = x + row * in, *low = high + 16 * in;
        float *first = y + row * out, *second = first + 16 * out;
        if (row == 0 || lower < 16) { /* 4 sums, rows of x above and below, weights of either half of the columns */
            struct { uint8_t palette, start, none[14]; uint16_t bytes[16]; uint8_t rows[16]; } shape = {.palette = 1};
            for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.rows[i] = 16;
            shape.rows[0] = shape.rows[1] = shape.rows[4] = upper;
            if (lower) shape.rows[2] = shape.rows[3] = shape.rows[5] = lower;
            _tile_loadconfig(&shape);
        }
        if (onto || bias) {
            const float *from = onto ? first : bias;
            int64_t stride = onto ? out * sizeof(float) : 0;
            _tile_loadd(0, from, stride);
            _tile_loadd(1, from + 16, stride);
            if (lower) {
                from = onto ? second : bias;
                _tile_loadd(2, from, stride);
                _tile_loadd(3, from + 16, stride);
            }
        } else {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
        }
        for (int64_t i = 0; i < in; i += 32) {
            const uint16_t *weights = panel + i * PANEL;
            _tile_loadd(4, high + i, in * 2);
            _tile_loadd(6, weights, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, weights + BLOCK / 2, 64);
            _tile_dpbf16ps(1, 4, 7);
            if (lower) {
                _tile_loadd(5, low + i, in * 2);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
        _tile_stored(0, first, out * sizeof(float));
        _tile_stored(1, first + 16, out * sizeof(float));
        if (lower) {
            _tile_stored(2, second, out * sizeof(float));
            _tile_stored(3, second + 16, out * sizeof(float));
        }
    }
    _tile_release();
}
#else
static void half_columns(int64_t n, int64_t in, int64_t out, const uint16_t *x, const uint16_t *panel,
                         const float *bias, int onto, float *y) {} /* see `halves` */
#endif

/* Whether there are products of bfloat16 weights here. */
int halves(void) {
#ifdef TILES
    return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* XTILEDATA */) == 0;
#else
    return 0;
#endif
}

/* y (n, out) = or += x (n, in) weights + bias, the weights in panels as `pack` or `pack_half` makes them; bias may be
null. Bfloat16 weights want x in that type, for which there is room (n, in). */
void product(int64_t n, int64_t in, int64_t out, int64_t half, int64_t threads, const float *x, const void *weights,
             const float *bias, int onto, uint16_t *room, float *y) {
    if (half) {
        for (int64_t i = 0; i < n * in; i++) room[i] = rounded(x[i]);
        if (bias && onto) {
            for (int64_t i = 0; i < n * out; i++) y[i] += bias[i % out];
            bias = 0;
        }
    }
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t column = 0; column < out; column += PANEL) {
        const float *b = bias ? bias + column : 0;
        if (half) half_columns(n, in, out, room, (const uint16_t *)weights + column * in, b, onto, y + column);
        else columns(n, in, out, x, (const float *)weights + column * in, b, onto, y + column);
    }
}

static void normalise(int64_t n, int64_t size, const float *x, const float *weight, float epsilon, float *y) {
    for (; n--; x += size, y += size) {
        vec squares = {0};
        for (int64_t i = 0; i < size; i += LANES) squares += load(x + i) * load(x + i);
        float scale = 1.0f / sqrtf(total(squares) / size + epsilon);
        for (int64_t i = 0; i < size; i += LANES) put(y + i, load(x + i) * scale * load(weight + i));
    }
}

static void rotate(int64_t heads, int64_t size, const float *cos, const float *sin, float *x) {
    int64_t half = size / 2;
    for (; heads--; x += size)
        for (int64_t i = 0; i < half; i++) {
            float first = x[i], second = x[i + half];
            x[i] = first * cos[i] - second * sin[i];
            x[i + half] = second * cos[i + half] + first * sin[i];
        }
}

/* what one query sees of keys and values (visible, size) */
static void attend(int64_t visible, int64_t size, float scale, const float *query, const float *keys,
                   const float *values, float *scores, float *seen) {
    int64_t padded = (visible + LANES - 1) / LANES * LANES;
    float most = -INFINITY;
    for (int64_t j = 0; j < visible; j++) {
        vec products = {0};
        for (int64_t i = 0; i < size; i += LANES) products += load(query + i) * load(keys + j * size + i);
        scores[j] = total(products) * scale;
        if (scores[j] > most) most = scores[j];
    }
    for (int64_t j = visible; j < padded; j++) scores[j] = most;
    for (int64_t j = 0; j < padded; j += LANES) put(scores + j, exponential(load(scores + j) - most));
    for (int64_t j = visible; j < padded; j++) scores[j] = 0.0f;
    vec sum = {0};
    for (int64_t j = 0; j < padded; j += LANES) sum += load(scores + j);
    float share = 1.0f / total(sum);
    for (int64_t i = 0; i < size; i += LANES) {
        vec found[4] = {{0}, {0}, {0}, {0}}; /* sums that do not wait for one another */
        int64_t j = 0;
        for (; j + 4 <= visible; j += 4)
            for (int k = 0; k < 4; k++) found[k] += scores[j + k] * load(values + (j + k) * size + i);
        for (; j < visible; j++) found[0] += scores[j] * load(values + j * size + i);
        put(seen + i, ((found[0] + found[1]) + (found[2] + found[3])) * share);
    }
}

/* Weights (out, in) as panels (out / PANEL, in, PANEL). */
void pack(int64_t out, int64_t in, const float *weights, float *panels) {
    for (; out > 0; out -= PANEL, weights += PANEL * in)
        for (int64_t i = 0; i < in; i++, panels += PANEL)
            for (int64_t column = 0; column < PANEL; column++) panels[column] = weights[column * in + i];
}

/* As `pack`, to bfloat16, panels (out / PANEL, in / 32, 2, 16, 16, 2): halves of the columns, pairs of inputs. */
void pack_half(int64_t out, int64_t in, const float *weights, uint16_t *panels) {
    for (; out > 0; out -= PANEL, weights += PANEL * in)
        for (int64_t i = 0; i < in; i += 32, panels += BLOCK)
            for (int64_t column = 0; column < PANEL; column++)
                for (int64_t k = 0; k < 32; k++)
                    panels[column / 16 * (BLOCK / 2) + k / 2 * 32 + column % 16 * 2 + k % 2] =
                        rounded(weights[column * in + i + k]);
}

/* Room that `advance` works in, in floats. */
int64_t room(const Model *m, int64_t n) {
    int64_t mixed = (m->heads + 2 * m->key_heads) * m->size;
    int64_t heads = m->heads * m->size, given = heads > m->inner ? heads : m->inner; /* to a product */
    if (given < m->hidden) given = m->hidden;
    return n * (m->hidden + mixed + heads + 2 * m->inner + given / 2) + m->threads * (m->window + LANES);
}

/* Read n tokens, of which each attends to its row up to its own position; their states go to hidden (n, hidden).
Returns 1, with nothing done, if a token or a position is out of range, else 0. */
int advance(const Model *m, const Layer *layers, int64_t n, const int64_t *tokens, const int64_t *rows,
            const int64_t *positions, float *work, float *hidden) {
    int64_t wide = (m->heads + 2 * m->key_heads) * m->size, heads = m->heads * m->size, group = m->heads / m->key_heads;
    float *inner = work, *mixed = inner + n * m->hidden, *seen = mixed + n * wide, *gates = seen + n * heads;
    float *scores = gates + n * 2 * m->inner;
    uint16_t *rounds = (uint16_t *)(scores + m->threads * (m->window + LANES));
    for (int64_t t = 0; t < n; t++)
        if (tokens[t] < 0 || tokens[t] >= m->words || positions[t] < 0 || positions[t] >= m->window ||
            positions[t] >= m->positions)
            return 1;
    for (int64_t t = 0; t < n; t++)
        memcpy(hidden + t * m->hidden, m->embedding + tokens[t] * m->hidden, m->hidden * sizeof(float));
    for (const Layer *layer = layers; layer < layers + m->layers; layer++) {
        normalise(n, m->hidden, hidden, layer->before, m->epsilon, inner);
        product(n, m->hidden, wide, m->half, m->threads, inner, layer->mix, layer->mix_bias, 0, rounds, mixed);
        for (int64_t t = 0; t < n; t++) {
            float *query = mixed + t * wide, *key = query + heads, *value = key + m->key_heads * m->size;
            if (layer->query_norm) normalise(m->heads, m->size, query, layer->query_norm, m->epsilon, query);
            if (layer->key_norm) normalise(m->key_heads, m->size, key, layer->key_norm, m->epsilon, key);
            rotate(m->heads + m->key_heads, m->size, m->cos + positions[t] * m->size,
                   m->sin + positions[t] * (m->size / 2), query);
            for (int64_t k = 0; k < m->key_heads; k++) {
                int64_t slot = ((rows[t] * m->key_heads + k) * m->window + positions[t]) * m->size;
                memcpy(layer->keys + slot, key + k * m->size, m->size * sizeof(float));
                memcpy(layer->values + slot, value + k * m->size, m->size * sizeof(float));
            }
        }
#pragma omp parallel for num_threads(m->threads) if (m->threads > 1)
        for (int64_t each = 0; each < n * m->heads; each++) {
            int64_t t = each / m->heads, h = each % m->heads;
            int64_t first = (rows[t] * m->key_heads + h / group) * m->window * m->size;
            attend(positions[t] + 1, m->size, m->scale, mixed + t * wide + h * m->size, layer->keys + first,
                   layer->values + first, scores + THREAD * (m->window + LANES), seen + t * heads + h * m->size);
        }
        product(n, heads, m->hidden, m->half, m->threads, seen, layer->out, layer->out_bias, 1, rounds, hidden);
        normalise(n, m->hidden, hidden, layer->between, m->epsilon, inner);
        product(n, m->hidden, 2 * m->inner, m->half, m->threads, inner, layer->widen, layer->widen_bias, 0, rounds,
                gates);
        for (int64_t t = 0; t < n; t++)
            for (int64_t i = 0; i < m->inner; i += LANES) {
                vec gate = load(gates + 2 * t * m->inner + i), up = load(gates + (2 * t + 1) * m->inner + i);
                put(gates + t * m->inner + i, gate / (1.0f + exponential(-gate)) * up);
            }
        product(n, m->inner, m->hidden, m->half, m->threads, gates, layer->narrow, layer->narrow_bias, 1, rounds,
                hidden);
    }
    normalise(n, m->hidden, hidden, m->norm, m->epsilon, hidden);
    return 0;
}
