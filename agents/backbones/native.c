/* New tokens through the layers of a Llama-type model: see native.py.

Between two products of a small model torch spends more time on starting operations than on computing. Here a token's
layers are one call, whose products keep up to eight rows in registers while a panel of weights goes by. Weights of
large models, from which generation reads all of memory for a few rows, are bfloat16 where the processor has products of
that type, in tiles (AMX) or in pairs (AVX-512): then a panel goes by as fast as memory gives it. What is said is drawn
here, too: torch goes over all words five times and more. */

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined __AMX_BF16__ && defined __linux__
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define TILES
#elif defined __AVX512BF16__
#include <immintrin.h>
#define PAIRS
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
#define SPAN 256 /* actions whose probabilities are added up together */
#ifdef _OPENMP
#include <omp.h>
#define THREAD omp_get_thread_num()
#else
#define THREAD 0
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t halves_of __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

typedef struct {
    const void *mix, *out, *widen, *narrow; /* panels of float or, where the model says half, of bfloat16 */
    const float *mix_bias, *out_bias, *widen_bias, *narrow_bias; /* or null */
    const float *before, *between, *query_norm, *key_norm; /* weights of norms; the last two may be null */
    void *keys, *values; /* (rows, key heads, window, size), float or, where the model says so, bfloat16 */
} Layer;

typedef struct {
    int64_t first, count;
} Run; /* slots, or tokens, that lie one after another */

typedef struct {
    int64_t layers, hidden, inner, heads, key_heads, size, window, words, positions, half, keeps_half, threads;
    float scale, epsilon;
    const float *embedding, *cos, *sin, *norm; /* cos (positions, size), sin (positions, size / 2) */
} Model;

static inline vec load(const float *from) { return *(const vec *)from; }
static inline void put(float *to, vec values) { *(vec *)to = values; }

/* a register of floats, or of bfloat16 as floats */
static inline __attribute__((always_inline)) vec taken(const void *from, int64_t at, const int half) {
    if (!half) return load((const float *)from + at);
    ints bits = __builtin_convertvector(*(const halves_of *)((const uint16_t *)from + at), ints) << 16;
    return (vec)bits;
}

/* of each lane the larger; what is no number in `other` stays so */
static inline vec larger(vec one, vec other) {
    ints first = (ints)(one > other); /* all bits where it is */
    return (vec)(((ints)one & first) | ((ints)other & ~first));
}

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

/* exp(x) to two units in the last place, for x from -87 to 88 (Moshier, Cephes, expf) */
static inline vec exponential(vec x) {
    const vec none = {0};
    x = -larger(none - 88.0f, -larger(none - 87.0f, x));
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

/* rows of y = or += the sums of either half of a panel's columns + bias; bias may be null */
static inline __attribute__((always_inline)) void finish(const int rows, int64_t out, const vec *low, const vec *high,
                                                         const float *bias, int onto, float *y) {
    for (int r = 0; r < rows; r++, y += out) {
        vec first = low[r], second = high[r];
        if (bias) first += load(bias), second += load(bias + LANES);
        if (onto) first += load(y), second += load(y + LANES);
        put(y, first);
        put(y + LANES, second);
    }
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
    finish(rows, out, low, high, bias, onto, y);
}

/* Call a tile's function for as many rows of those left as go at once: in it their number is to be a constant. */
#define CASE(rows, call, ...) case rows: call(rows, __VA_ARGS__); break;
#if ROWS == 8
#define SEVEN_AND_EIGHT(...) CASE(7, __VA_ARGS__) CASE(8, __VA_ARGS__)
#else
#define SEVEN_AND_EIGHT(...)
#endif
#define SOME_ROWS(left, ...)                                                                           \
    switch ((left) < ROWS ? (left) : ROWS) {                                                           \
        CASE(1, __VA_ARGS__) CASE(2, __VA_ARGS__) CASE(3, __VA_ARGS__) CASE(4, __VA_ARGS__)            \
        CASE(5, __VA_ARGS__) CASE(6, __VA_ARGS__) SEVEN_AND_EIGHT(__VA_ARGS__)                         \
    }

/* a panel's columns of y (n, out) = or += x (n, in) panel (in, PANEL) + bias; bias may be null */
static void columns(int64_t n, int64_t in, int64_t out, const float *x, const float *panel, const float *bias, int onto,
                    float *y) {
    for (int64_t column = 0; column < PANEL; column += WIDE)
        for (int64_t row = 0; row < n; row += ROWS)
            SOME_ROWS(n - row, tile, in, out, x + row * in, panel + column, bias ? bias + column : 0, onto,
                      y + row * out + column)
}

/* the bfloat16 nearest to a float */
static inline uint16_t rounded(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/* As `columns`, from a panel of bfloat16 weights (in / 32, 2, 16, 16, 2); bias is not for what goes onto y. */
#if defined TILES
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
#elif defined PAIRS
/* onto the sums of one half of the columns: 32 inputs of rows of x (rows, in), from weights that lie together */
static inline __attribute__((always_inline)) void half_block(const int rows, int64_t in, const uint16_t *x,
                                                             const uint16_t *weights, vec *sums) {
    for (int k = 0; k < 32; k += 2) {
        __m512bh both = (__m512bh)_mm512_loadu_si512(weights + k * 16);
        for (int r = 0; r < rows; r++) {
            int32_t pair;
            memcpy(&pair, x + r * in + k, 4);
            sums[r] = (vec)_mm512_dpbf16_ps((__m512)sums[r], (__m512bh)_mm512_set1_epi32(pair), both);
        }
    }
}

static inline __attribute__((always_inline)) void half_tile(const int rows, int64_t in, int64_t out, const uint16_t *x,
                                                            const uint16_t *panel, const float *bias, int onto,
                                                            float *y) {
    vec low[ROWS], high[ROWS];
    for (int r = 0; r < rows; r++) low[r] = high[r] = (vec){0};
    for (int64_t i = 0; i < in; i += 32, panel += BLOCK) {
        half_block(rows, in, x + i, panel, low);
        half_block(rows, in, x + i, panel + BLOCK / 2, high);
    }
    finish(rows, out, low, high, bias, onto, y);
}

static void half_columns(int64_t n, int64_t in, int64_t out, const uint16_t *x, const uint16_t *panel,
                         const float *bias, int onto, float *y) {
    for (int64_t row = 0; row < n; row += ROWS)
        SOME_ROWS(n - row, half_tile, in, out, x + row * in, panel, bias, onto, y + row * out)
}
#else
static void half_columns(int64_t n, int64_t in, int64_t out, const uint16_t *x, const uint16_t *panel,
                         const float *bias, int onto, float *y) {} /* see `halves` */
#endif

/* Whether there are products of bfloat16 weights here. */
int halves(void) {
#ifdef TILES
    return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* XTILEDATA */) == 0;
#elif defined PAIRS
    return 1;
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

/* what one query sees of keys and values (.., size) that lie `stride` apart, in runs */
static inline __attribute__((always_inline)) void look(const int half, const Run *runs, int64_t many, int64_t stride,
                                                       int64_t size, float scale, const float *query, const void *keys,
                                                       const void *values, float *scores, float *seen) {
    int64_t visible = 0;
    float most = -INFINITY;
    for (const Run *run = runs; run < runs + many; run++)
        for (int64_t j = 0; j < run->count; j++) {
            vec products = {0};
            for (int64_t i = 0; i < size; i += LANES)
                products += load(query + i) * taken(keys, (run->first + j) * stride + i, half);
            float score = scores[visible++] = total(products) * scale;
            if (score > most) most = score;
        }
    int64_t padded = (visible + LANES - 1) / LANES * LANES;
    for (int64_t j = visible; j < padded; j++) scores[j] = most;
    for (int64_t j = 0; j < padded; j += LANES) put(scores + j, exponential(load(scores + j) - most));
    for (int64_t j = visible; j < padded; j++) scores[j] = 0.0f;
    vec sum = {0};
    for (int64_t j = 0; j < padded; j += LANES) sum += load(scores + j);
    float share = 1.0f / total(sum);
    for (int64_t i = 0; i < size; i += LANES) {
        vec found[4] = {{0}, {0}, {0}, {0}}; /* sums that do not wait for one another */
        const float *factor = scores;
        for (const Run *run = runs; run < runs + many; run++) {
            int64_t at = run->first * stride + i, j = 0;
            for (; j + 4 <= run->count; j += 4, factor += 4)
                for (int k = 0; k < 4; k++) found[k] += factor[k] * taken(values, at + (j + k) * stride, half);
            for (; j < run->count; j++) found[0] += *factor++ * taken(values, at + j * stride, half);
        }
        put(seen + i, ((found[0] + found[1]) + (found[2] + found[3])) * share);
    }
}

static void attend(int half, const Run *runs, int64_t many, int64_t stride, int64_t size, float scale,
                   const float *query, const void *keys, const void *values, float *scores, float *seen) {
    if (half) look(1, runs, many, stride, size, scale, query, keys, values, scores, seen);
    else look(0, runs, many, stride, size, scale, query, keys, values, scores, seen);
}

/* the runs of tokens up to t, last ones first; their number */
static int64_t path(int64_t t, const int64_t *starts, const int64_t *before, Run *runs) {
    int64_t many = 0;
    for (; t >= 0; t = before[t]) runs[many++] = (Run){starts[t], t - starts[t] + 1};
    return many;
}

/* Keep some floats, rounded if they are kept as bfloat16. */
static void keep(int half, int64_t size, const float *from, void *to, int64_t at) {
    if (half) for (int64_t i = 0; i < size; i++) ((uint16_t *)to)[at + i] = rounded(from[i]);
    else memcpy((float *)to + at, from, size * sizeof(float));
}

/* An action of one row of logits (actions): where the distribution function passes `point`, of 0 to 1, or, if it is
below 0, the first of the most probable ones. Room is as `draws` has it. */
static int64_t drawn(int64_t actions, const float *logits, const uint8_t *forbidden, float point, float *room,
                     float *log_prob) {
    int64_t blocks = (actions + SPAN - 1) / SPAN, action = 0, last = 0;
    float *sums = room + blocks * SPAN;
    if (forbidden) for (int64_t i = 0; i < actions; i++) room[i] = forbidden[i] ? -INFINITY : logits[i];
    else memcpy(room, logits, actions * sizeof(float));
    for (int64_t i = actions; i < blocks * SPAN; i++) room[i] = -INFINITY;
    vec each = load(room);
    for (int64_t i = LANES; i < blocks * SPAN; i += LANES) each = larger(each, load(room + i));
    float most = each[0];
    for (int i = 1; i < LANES; i++) most = each[i] > most ? each[i] : most;
    if (point < 0.0f) while (action < actions - 1 && room[action] != most) action++;
    double all = 0.0;
    for (int64_t b = 0; b < blocks; b++) {
        vec sum = {0};
        for (float *share = room + b * SPAN; share < room + (b + 1) * SPAN; share += LANES) {
            vec x = load(share) - most;
            ints nothing = (ints)(x < -80.0f); /* rather than next to it: nothing of that is drawn */
            put(share, (vec)((ints)exponential(x) & ~nothing));
            sum += load(share);
        }
        all += sums[b] = total(sum);
    }
    if (point >= 0.0f) {
        double left = point * all;
        int64_t b = 0;
        for (int64_t next = 0; next < blocks && left >= 0.0; next++)
            if (sums[next] > 0.0f) left -= sums[b = next];
        left += sums[b];
        for (action = b * SPAN; action < (b + 1) * SPAN && left >= 0.0; action++)
            if (room[action] > 0.0f) left -= room[last = action];
        action = last;
    }
    *log_prob = logits[action] - most - logf(all);
    return action;
}

/* Floats of room that `draws` wants for each thread. */
int64_t draws_room(int64_t actions) { return (actions + SPAN - 1) / SPAN * (SPAN + 1); }

/* Actions (n) of rows of logits (n, actions), and their log-probabilities (n), which are no numbers where the logits
are none. What is forbidden (actions) is out; it may be null, as may the points (n): then the most probable are taken. */
void draws(int64_t n, int64_t actions, int64_t threads, const float *logits, const uint8_t *forbidden,
           const float *points, float *room, int64_t *taken, float *log_probs) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t row = 0; row < n; row++)
        taken[row] = drawn(actions, logits + row * actions, forbidden, points ? points[row] : -1.0f,
                           room + THREAD * draws_room(actions), log_probs + row);
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

/* where a thread keeps scores, and behind them runs, in floats */
static int64_t scored(const Model *m) { return (m->window + LANES + 1) / 2 * 2; }
static int64_t desk(const Model *m) { return scored(m) + m->window * (int64_t)(sizeof(Run) / sizeof(float)); }

/* Room that `advance` works in, in floats. */
int64_t room(const Model *m, int64_t n) {
    int64_t mixed = (m->heads + 2 * m->key_heads) * m->size;
    int64_t heads = m->heads * m->size, given = heads > m->inner ? heads : m->inner; /* to a product */
    if (given < m->hidden) given = m->hidden;
    return m->threads * desk(m) + n * (2 * m->hidden + mixed + heads + 2 * m->inner + given / 2);
}

/* Read n tokens; the states of those wanted (count; ascending) go to hidden (count, hidden).

Where `before` is null, rows are those of a cache that keys and values are kept in, and a token attends to its row up to
its own position. Else nothing is kept: `rows` are the tokens with which each one's run begins, `before` the tokens that
the runs go on from, or -1, and a token attends to all that leads to it, of which there are at most `window`.

Returns 1, with nothing done, if something is out of range, else 0. */
int advance(const Model *m, const Layer *layers, int64_t n, const int64_t *tokens, const int64_t *positions,
            const int64_t *rows, const int64_t *before, int64_t count, const int64_t *wanted, float *work,
            float *hidden) {
    int64_t wide = (m->heads + 2 * m->key_heads) * m->size, heads = m->heads * m->size, group = m->heads / m->key_heads;
    float *states = work + m->threads * desk(m), *inner = states + n * m->hidden, *mixed = inner + n * m->hidden;
    float *seen = mixed + n * wide, *gates = seen + n * heads;
    uint16_t *rounds = (uint16_t *)(gates + n * 2 * m->inner);
    for (int64_t t = 0; t < n; t++) {
        if (tokens[t] < 0 || tokens[t] >= m->words || positions[t] < 0 || positions[t] >= m->window ||
            positions[t] >= m->positions)
            return 1;
        if (before && (rows[t] < 0 || rows[t] > t || before[t] < -1 || before[t] >= rows[t] ||
                       positions[t] != t - rows[t] + (before[t] < 0 ? 0 : positions[before[t]] + 1)))
            return 1;
    }
    for (int64_t w = 0; w < count; w++)
        if (wanted[w] < 0 || wanted[w] >= n || (w && wanted[w] <= wanted[w - 1])) return 1;
    for (int64_t t = 0; t < n; t++)
        memcpy(states + t * m->hidden, m->embedding + tokens[t] * m->hidden, m->hidden * sizeof(float));
    for (const Layer *layer = layers; layer < layers + m->layers; layer++) {
        normalise(n, m->hidden, states, layer->before, m->epsilon, inner);
        product(n, m->hidden, wide, m->half, m->threads, inner, layer->mix, layer->mix_bias, 0, rounds, mixed);
        for (int64_t t = 0; t < n; t++) {
            float *query = mixed + t * wide, *key = query + heads, *value = key + m->key_heads * m->size;
            if (layer->query_norm) normalise(m->heads, m->size, query, layer->query_norm, m->epsilon, query);
            if (layer->key_norm) normalise(m->key_heads, m->size, key, layer->key_norm, m->epsilon, key);
            rotate(m->heads + m->key_heads, m->size, m->cos + positions[t] * m->size,
                   m->sin + positions[t] * (m->size / 2), query);
            for (int64_t k = 0; k < m->key_heads && !before; k++) {
                int64_t slot = ((rows[t] * m->key_heads + k) * m->window + positions[t]) * m->size;
                keep(m->keeps_half, m->size, key + k * m->size, layer->keys, slot);
                keep(m->keeps_half, m->size, value + k * m->size, layer->values, slot);
            }
        }
        int last = layer == layers + m->layers - 1; /* after which only what is wanted goes on */
        if (last) n = count;
#pragma omp parallel for num_threads(m->threads) if (m->threads > 1)
        for (int64_t each = 0; each < n * m->heads; each++) {
            int64_t t = last ? wanted[each / m->heads] : each / m->heads, h = each % m->heads, k = h / group;
            float *scores = work + THREAD * desk(m), *query = mixed + t * wide + h * m->size;
            Run *runs = (Run *)(scores + scored(m));
            if (before)
                attend(0, runs, path(t, rows, before, runs), wide, m->size, m->scale, query,
                       mixed + heads + k * m->size, mixed + heads + (m->key_heads + k) * m->size, scores,
                       seen + each * m->size);
            else {
                *runs = (Run){(rows[t] * m->key_heads + k) * m->window, positions[t] + 1};
                attend(m->keeps_half, runs, 1, m->size, m->size, m->scale, query, layer->keys, layer->values, scores,
                       seen + each * m->size);
            }
        }
        for (int64_t w = 0; w < n && last; w++)
            memmove(states + w * m->hidden, states + wanted[w] * m->hidden, m->hidden * sizeof(float));
        product(n, heads, m->hidden, m->half, m->threads, seen, layer->out, layer->out_bias, 1, rounds, states);
        normalise(n, m->hidden, states, layer->between, m->epsilon, inner);
        product(n, m->hidden, 2 * m->inner, m->half, m->threads, inner, layer->widen, layer->widen_bias, 0, rounds,
                gates);
        for (int64_t t = 0; t < n; t++)
            for (int64_t i = 0; i < m->inner; i += LANES) {
                vec gate = load(gates + 2 * t * m->inner + i), up = load(gates + (2 * t + 1) * m->inner + i);
                put(gates + t * m->inner + i, gate / (1.0f + exponential(-gate)) * up);
            }
        product(n, m->inner, m->hidden, m->half, m->threads, gates, layer->narrow, layer->narrow_bias, 1, rounds,
                states);
    }
    normalise(n, m->hidden, states, m->norm, m->epsilon, hidden);
    return 0;
}
