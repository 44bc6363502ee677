/* Tokens through the layers of a Llama-type model, and gradients back: see native.py.

Between two products of a small model torch spends more time on starting operations than on computing. Here a token's
layers are one call, whose products keep up to eight rows in registers while a panel of weights goes by. Weights of
large models, from which generation reads all of memory for a few rows, are bfloat16 where the processor has products of
that type, in tiles (AMX) or in pairs (AVX-512): then a panel goes by as fast as memory gives it. What is said is drawn
here, too: torch goes over all words five times and more. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
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
#define SPAN 256 /* what is added up at once: probabilities of actions, rows that meet in a product */
#ifdef _OPENMP
#include <omp.h>
#define THREAD omp_get_thread_num()
#else
#define THREAD 0
#endif

#pragma GCC visibility push(protected) /* what is called here stands here, whatever else has its name */

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t halves_of __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

typedef struct {
    const void *mix, *out, *widen, *narrow; /* panels of float or, where the model says half, of bfloat16 */
    const float *mix_bias, *out_bias, *widen_bias, *narrow_bias; /* or null */
    const float *before, *between, *query_norm, *key_norm; /* weights of norms; the last two may be null */
    void *keys, *values; /* (rows, key heads, window, size), float or, where the model says so, bfloat16 */
} Layer;

enum { QUERY, KEY, VALUE, OUT, GATE, UP, DOWN, MAPS };

typedef struct {
    const float *weights[MAPS];        /* (out, in), as a model has them */
    float *gradients[MAPS];            /* onto which theirs are added */
    float *biases[MAPS];               /* and of biases; or null */
    float *before, *between;           /* and of norms */
} Learned; /* of one layer */

typedef struct {
    float *states, *mixed, *seen, *middle, *gates; /* (n, ..): what a layer was given and made */
} Kept;

typedef struct {
    int64_t first, count;
} Run; /* tokens that lie one after another */

typedef struct {
    int64_t first, count, runs, many, keys; /* queries; the first of its runs, their number and that of their tokens */
} Block; /* of at most PANEL queries that look at about the same keys */

typedef struct {
    const int64_t *wanted;    /* the tokens of queries, or null where they are all tokens */
    int64_t *order, *trees;   /* of queries; the first block of each tree: no two trees have tokens in common */
    Block *blocks;
    Run *runs;
    int32_t *limits;          /* (runs, PANEL): how many tokens of a run each query of its block sees */
    float *desks;             /* where each thread keeps what it is at */
    int64_t many, desk;       /* trees; floats of a desk */
} Blocks;

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

/* rows of y = or += the sums of both halves, or of one, of a panel's columns + bias; bias may be null */
static inline __attribute__((always_inline)) void finish(const int rows, const int both, int64_t out,
                                                         const vec *low, const vec *high, const float *bias, int onto,
                                                         float *y) {
    for (int r = 0; r < rows; r++, y += out)
        for (int i = 0; i <= both; i++) {
            vec sum = i ? high[r] : low[r];
            if (bias) sum += load(bias + i * LANES);
            if (onto) sum += load(y + i * LANES);
            put(y + i * LANES, sum);
        }
}

/* rows of x are `down` and its columns `along` floats apart, rows of the panel `apart` */
static inline __attribute__((always_inline)) void tile(const int rows, const int both, int64_t in,
                                                       int64_t out, const float *x, int64_t down, int64_t along,
                                                       const float *panel, int64_t apart, const float *bias, int onto,
                                                       float *y) {
    vec low[ROWS], high[ROWS];
    for (int r = 0; r < rows; r++) low[r] = high[r] = (vec){0};
    for (int64_t i = 0; i < in; i++) {
        vec first = load(panel + i * apart), second = both ? load(panel + i * apart + LANES) : first;
        for (int r = 0; r < rows; r++) {
            float factor = x[r * down + i * along];
            low[r] += factor * first;
            if (both) high[r] += factor * second;
        }
    }
    finish(rows, both, out, low, high, bias, onto, y);
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
            SOME_ROWS(n - row, tile, 1, in, out, x + row * in, in, 1, panel + column, PANEL, bias ? bias + column : 0,
                      onto, y + row * out + column)
}

/* y (n, out) = or += x (n, in) weights (in, out), none of them in panels: rows of x are `down` and its columns `along`
floats apart, rows of the weights `apart`, those of y `below`; out is LANES or some */
static __attribute__((noinline, noclone)) void multiply(int64_t n, int64_t in, int64_t out, const float *x,
                                                        int64_t down, int64_t along, const float *weights,
                                                        int64_t apart, int onto, float *y, int64_t below) {
    for (int64_t column = 0; column < out; column += WIDE)
        for (int64_t row = 0; row < n; row += ROWS)
            if (out - column < WIDE)
                SOME_ROWS(n - row, tile, 0, in, below, x + row * down, down, along, weights + column, apart, 0, onto,
                          y + row * below + column)
            else
                SOME_ROWS(n - row, tile, 1, in, below, x + row * down, down, along, weights + column, apart, 0, onto,
                          y + row * below + column)
}

/* As `multiply`, of large matrices, weights and y without gaps. */
static void plain_product(int64_t n, int64_t in, int64_t out, int64_t threads, const float *x, int64_t down,
                          int64_t along, const float *weights, int onto, float *y) {
    const int64_t block = 8 * ROWS;
    for (int64_t i = 0; i < in; i += SPAN)
#pragma omp parallel for collapse(2) num_threads(threads) if (threads > 1)
        for (int64_t row = 0; row < n; row += block)
            for (int64_t column = 0; column < out; column += WIDE)
                multiply(n - row < block ? n - row : block, in - i < SPAN ? in - i : SPAN,
                         out - column < WIDE ? out - column : WIDE, x + row * down + i * along, down, along,
                         weights + i * out + column, out, onto || i, y + row * out + column, out);
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
    finish(rows, 1, out, low, high, bias, onto, y);
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

/* or, where `way` is -1, back */
static void rotate(int64_t heads, int64_t size, const float *cos, const float *sin, float way, float *x) {
    int64_t half = size / 2;
    for (; heads--; x += size)
        for (int64_t i = 0; i < half; i++) {
            float first = x[i], second = x[i + half];
            x[i] = first * cos[i] - way * second * sin[i];
            x[i + half] = second * cos[i + half] + way * first * sin[i];
        }
}

/* what one query sees of the first `visible` keys and values (.., size) */
static inline __attribute__((always_inline)) void look(const int half, int64_t visible, int64_t size, float scale,
                                                       const float *query, const void *keys, const void *values,
                                                       int64_t first, float *scores, float *seen) {
    float most = -INFINITY;
    for (int64_t j = 0; j < visible; j++) {
        vec products = {0};
        for (int64_t i = 0; i < size; i += LANES)
            products += load(query + i) * taken(keys, (first + j) * size + i, half);
        scores[j] = total(products) * scale;
        if (scores[j] > most) most = scores[j];
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
        int64_t at = first * size + i, j = 0;
        for (; j + 4 <= visible; j += 4)
            for (int k = 0; k < 4; k++) found[k] += scores[j + k] * taken(values, at + (j + k) * size, half);
        for (; j < visible; j++) found[0] += scores[j] * taken(values, at + j * size, half);
        put(seen + i, ((found[0] + found[1]) + (found[2] + found[3])) * share);
    }
}

static void attend(int half, int64_t visible, int64_t size, float scale, const float *query, const void *keys,
                   const void *values, int64_t first, float *scores, float *seen) {
    if (half) look(1, visible, size, scale, query, keys, values, first, scores, seen);
    else look(0, visible, size, scale, query, keys, values, first, scores, seen);
}

static void release(Blocks *blocks) {
    free(blocks->order);
    free(blocks->trees);
    free(blocks->blocks);
    free(blocks->runs);
    free(blocks->limits);
    free(blocks->desks);
}

/* the token of a query, by its place in the order */
static int64_t token(const Blocks *all, int64_t place) {
    return all->wanted ? all->wanted[all->order[place]] : all->order[place];
}

/* Put queries, all n tokens or those wanted, into blocks that look at the same keys; 0 where there is no memory for it,
else 1. `rows` and `before` are as in `advance`. */
static int arrange(Blocks *to, const Model *m, int64_t n, const int64_t *rows, const int64_t *before, int64_t count,
                   const int64_t *wanted) {
    int64_t room = 2 * count + 64, *roots = calloc(2 * n + 1, sizeof(int64_t)), *places = roots + n, block = -1;
    *to = (Blocks){.order = malloc((count + 1) * sizeof(int64_t)), .trees = malloc((count + 1) * sizeof(int64_t)),
                   .blocks = malloc((count + 1) * sizeof(Block)), .runs = malloc(room * sizeof(Run)),
                   .limits = malloc(room * PANEL * sizeof(int32_t)), .wanted = wanted};
    int fine = roots && to->order && to->trees && to->blocks && to->runs && to->limits;
    for (int64_t t = 0; t < n && fine; t++) roots[t] = before[t] < 0 ? rows[t] : roots[before[t]];
    for (int64_t q = 0; q < count && fine; q++) places[roots[wanted ? wanted[q] : q] + 1]++;
    for (int64_t t = 0; t < n && fine; t++) places[t + 1] += places[t];
    for (int64_t q = 0; q < count && fine; q++) to->order[places[roots[wanted ? wanted[q] : q]]++] = q;
    int64_t runs = 0, longest = 0;
    for (int64_t q = 0; q < count && fine; q++) {
        int64_t t = token(to, q), earlier = q ? token(to, q - 1) : -1, alike = 1;
        int other = !q || roots[t] != roots[earlier];
        if (!other && rows[t] != rows[earlier]) /* a run begins: into a block that has place for all of it */
            while (q + alike < count && alike < PANEL && rows[token(to, q + alike)] == rows[t]) alike++;
        if (other) to->trees[to->many++] = block + 1;
        if (other || to->blocks[block].count + alike > PANEL) to->blocks[++block] = (Block){.first = q, .runs = runs};
        Block *own = to->blocks + block;
        for (int64_t u = t; u >= 0; u = before[u]) {
            int64_t r = own->runs;
            while (r < runs && to->runs[r].first != rows[u]) r++;
            if (r == runs) {
                if (runs == room) {
                    room *= 2;
                    Run *more = realloc(to->runs, room * sizeof(Run));
                    if (more) to->runs = more;
                    int32_t *limits = realloc(to->limits, room * PANEL * sizeof(int32_t));
                    if (limits) to->limits = limits;
                    fine = more && limits;
                    if (!fine) break;
                }
                to->runs[runs++] = (Run){rows[u], 0};
                memset(to->limits + r * PANEL, 0, PANEL * sizeof(int32_t));
                own->many++;
            }
            int64_t visible = u - rows[u] + 1, more = visible - to->runs[r].count;
            to->limits[r * PANEL + own->count] = visible;
            if (more > 0) to->runs[r].count += more, own->keys += more;
        }
        own->count++;
        if (own->keys > longest) longest = own->keys;
    }
    if (fine) {
        to->trees[to->many] = block + 1;
        to->desk = PANEL * (2 * longest + 5 * m->size + 1);
        fine = (to->desks = malloc(m->threads * to->desk * sizeof(float))) != 0;
    }
    free(roots);
    if (!fine) {
        release(to);
        *to = (Blocks){0};
    }
    return fine;
}

/* what the queries of a block have, or their tokens, in rows (.., size) that are `stride` apart, times a factor: as it
is, (PANEL, size), and across, (size, PANEL) */
static void collect(const Blocks *all, const Block *block, int tokens, int64_t stride, int64_t size, float factor,
                    const float *from, float *rows, float *across) {
    memset(across, 0, size * PANEL * sizeof(float));
    memset(rows + block->count * size, 0, (PANEL - block->count) * size * sizeof(float));
    for (int64_t q = 0; q < block->count; q++) {
        int64_t place = block->first + q;
        const float *values = from + (tokens ? token(all, place) : all->order[place]) * stride;
        for (int64_t i = 0; i < size; i++) across[i * PANEL + q] = rows[q * size + i] = values[i] * factor;
    }
}

/* How much the queries of a block, across, look at each of their keys, (keys, PANEL); `shares` (PANEL) is what it has
to be multiplied by for all of a query to be 1. */
static void weigh(const Blocks *all, const Block *block, int64_t stride, int64_t size, const float *queries,
                  const float *keys, float *scores, float *shares) {
    const Run *runs = all->runs + block->runs;
    const float none = -1e30f;
    float *to = scores;
    for (const Run *run = runs; run < runs + block->many; to += run++->count * PANEL)
        multiply(run->count, size, PANEL, keys + run->first * stride, stride, 1, queries, PANEL, 0, to, PANEL);
    for (int64_t half = 0; half < PANEL; half += LANES) {
        vec most = {0}, sum = {0};
        most += none;
        to = scores + half;
        for (int64_t r = 0; r < block->many; r++) {
            ints limit = *(const ints *)(all->limits + (block->runs + r) * PANEL + half);
            for (int32_t j = 0; j < runs[r].count; j++, to += PANEL) {
                ints sees = (ints)(limit > j);
                vec score = (vec)(((ints)load(to) & sees) | ((ints)(sum + none) & ~sees));
                most = larger(most, score);
                put(to, score);
            }
        }
        for (float *end = to, *at = scores + half; at < end; at += PANEL) {
            vec score = load(at);
            ints blind = (ints)(score <= none); /* what is no number is seen */
            score = (vec)((ints)exponential(score - most) & ~blind);
            sum += score;
            put(at, score);
        }
        put(shares + half, 1.0f / larger(sum, sum - sum + 1e-30f));
    }
}

/* what the queries of a block see, with one head, into `seen` (queries, heads of `size`) */
static void see(const Blocks *all, const Block *block, int64_t stride, int64_t size, float scale, const float *queries,
                const float *keys, const float *values, int64_t heads, float *seen) {
    float *across = all->desks + THREAD * all->desk, *rows = across + size * PANEL, *shares = rows + size * PANEL;
    float *scores = shares + PANEL, *from = scores;
    const Run *first = all->runs + block->runs, *end = first + block->many;
    collect(all, block, 1, stride, size, scale, queries, rows, across);
    weigh(all, block, stride, size, across, keys, scores, shares);
    for (const Run *run = first; run < end; from += run++->count * PANEL)
        multiply(block->count, run->count, size, from, 1, PANEL, values + run->first * stride, stride, run > first,
                 rows, size);
    for (int64_t q = 0; q < block->count; q++)
        for (int64_t i = 0; i < size; i += LANES)
            put(seen + all->order[block->first + q] * heads * size + i, load(rows + q * size + i) * shares[q]);
}

/* The gradients of a block's queries and of the keys and values that they saw, from `given`, that of what they saw
(queries, heads of `size`). With p the shares, dp = given v, ds = p (dp - sum p dp): dq = scale ds k, dk = scale ds q,
dv = p given. */
static void see_back(const Blocks *all, const Block *block, int64_t stride, int64_t size, float scale,
                     const float *queries, const float *keys, const float *values, int64_t heads, const float *given,
                     float *query_gradients, float *key_gradients, float *value_gradients) {
    float *across = all->desks + THREAD * all->desk, *rows = across + size * PANEL, *got_across = rows + size * PANEL;
    float *got = got_across + size * PANEL, *gradients = got + size * PANEL, *shares = gradients + size * PANEL;
    float *scores = shares + PANEL, *changes = scores + block->keys * PANEL, *from = changes;
    const Run *first = all->runs + block->runs, *end = first + block->many;
    collect(all, block, 1, stride, size, scale, queries, rows, across);
    collect(all, block, 0, heads * size, size, 1.0f, given, got, got_across);
    weigh(all, block, stride, size, across, keys, scores, shares);
    for (const Run *run = first; run < end; from += run++->count * PANEL)
        multiply(run->count, size, PANEL, values + run->first * stride, stride, 1, got_across, PANEL, 0, from, PANEL);
    for (int64_t half = 0; half < PANEL; half += LANES) {
        vec share = load(shares + half), sum = {0};
        for (int64_t at = half; at < block->keys * PANEL; at += PANEL) {
            put(scores + at, load(scores + at) * share);
            sum += load(scores + at) * load(changes + at);
        }
        for (int64_t at = half; at < block->keys * PANEL; at += PANEL)
            put(changes + at, load(scores + at) * (load(changes + at) - sum));
    }
    from = changes;
    for (const Run *run = first; run < end; scores += run->count * PANEL, from += run++->count * PANEL) {
        int64_t at = run->first * stride;
        multiply(run->count, PANEL, size, from, PANEL, 1, rows, size, 1, key_gradients + at, stride);
        multiply(run->count, PANEL, size, scores, PANEL, 1, got, size, 1, value_gradients + at, stride);
        multiply(block->count, run->count, size, from, 1, PANEL, keys + at, stride, run > first, gradients, size);
    }
    for (int64_t q = 0; q < block->count; q++) {
        float *to = query_gradients + token(all, block->first + q) * stride;
        for (int64_t i = 0; i < size; i += LANES) put(to + i, load(gradients + q * size + i) * scale);
    }
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

/* Actions (n) of rows of logits (n, actions), and their log-probabilities (n), which are no numbers where the logits are
none. What is forbidden (actions) is out; it may be null, as may the points (n): then the most probable are taken. */
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

/* where a thread keeps scores, in floats */
static int64_t desk(const Model *m) { return m->window + LANES; }

/* Room that `advance` and `back` work in, in floats. */
int64_t room(const Model *m, int64_t n) {
    int64_t mixed = (m->heads + 2 * m->key_heads) * m->size;
    return m->threads * desk(m) + n * (3 * m->hidden + mixed + 2 * m->heads * m->size + 4 * m->inner);
}

/* Room for what `advance` keeps for `back`, in floats. */
int64_t kept_room(const Model *m, int64_t n) {
    int64_t mixed = (m->heads + 2 * m->key_heads) * m->size;
    return n * (m->layers * (2 * m->hidden + mixed + m->heads * m->size + 2 * m->inner) + m->hidden);
}

/* of one layer; of the one after the last the states alone */
static Kept kept_by(const Model *m, int64_t n, int64_t layer, float *kept) {
    Kept own = {.states = kept + layer * (kept_room(m, n) - n * m->hidden) / m->layers};
    own.mixed = own.states + n * m->hidden;
    own.seen = own.mixed + n * (m->heads + 2 * m->key_heads) * m->size;
    own.middle = own.seen + n * m->heads * m->size;
    own.gates = own.middle + n * m->hidden;
    return own;
}

/* Read n tokens; the states of those wanted (count; ascending) go to hidden (count, hidden).

Where `before` is null, rows are those of a cache that keys and values are kept in, and a token attends to its row up to
its own position. Else nothing is kept there: `rows` are the tokens with which each one's run begins, `before` the
tokens that the runs go on from, or -1, and a token attends to all that leads to it, of which there are at most
`window`. What `back` needs is kept in `kept`, unless it is null.

Returns 1, with nothing done, if something is out of range, 2 if there is no memory, else 0. */
int advance(const Model *m, const Layer *layers, int64_t n, const int64_t *tokens, const int64_t *positions,
            const int64_t *rows, const int64_t *before, int64_t count, const int64_t *wanted, float *work, float *kept,
            float *hidden) {
    const int64_t all = n, wide = (m->heads + 2 * m->key_heads) * m->size, heads = m->heads * m->size;
    const int64_t group = m->heads / m->key_heads;
    float *states = work + m->threads * desk(m), *inner = states + n * m->hidden, *mixed = inner + n * m->hidden;
    float *seen = mixed + n * wide, *gates = seen + n * heads, *active = gates;
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
    Blocks every = {0}, some = {0};
    if (before && (!arrange(&every, m, n, rows, before, n, 0) || !arrange(&some, m, n, rows, before, count, wanted))) {
        release(&every);
        return 2;
    }
    for (int64_t t = 0; t < n; t++)
        memcpy(states + t * m->hidden, m->embedding + tokens[t] * m->hidden, m->hidden * sizeof(float));
    for (int64_t l = 0; l < m->layers; l++) {
        const Layer *layer = layers + l;
        Kept own;
        if (kept) {
            own = kept_by(m, all, l, kept);
            mixed = own.mixed, seen = own.seen, gates = own.gates;
            memcpy(own.states, states, n * m->hidden * sizeof(float));
        }
        normalise(n, m->hidden, states, layer->before, m->epsilon, inner);
        product(n, m->hidden, wide, m->half, m->threads, inner, layer->mix, layer->mix_bias, 0, rounds, mixed);
        for (int64_t t = 0; t < n; t++) {
            float *query = mixed + t * wide, *key = query + heads, *value = key + m->key_heads * m->size;
            if (layer->query_norm) normalise(m->heads, m->size, query, layer->query_norm, m->epsilon, query);
            if (layer->key_norm) normalise(m->key_heads, m->size, key, layer->key_norm, m->epsilon, key);
            rotate(m->heads + m->key_heads, m->size, m->cos + positions[t] * m->size,
                   m->sin + positions[t] * (m->size / 2), 1.0f, query);
            for (int64_t k = 0; k < m->key_heads && !before; k++) {
                int64_t slot = ((rows[t] * m->key_heads + k) * m->window + positions[t]) * m->size;
                keep(m->keeps_half, m->size, key + k * m->size, layer->keys, slot);
                keep(m->keeps_half, m->size, value + k * m->size, layer->values, slot);
            }
        }
        int last = l == m->layers - 1; /* after which only what is wanted goes on */
        if (last) n = count;
        const Blocks *blocks = last ? &some : &every;
        int64_t apart = before ? blocks->many : n; /* what threads can do by itself: trees, or queries */
#pragma omp parallel for num_threads(m->threads) if (m->threads > 1)
        for (int64_t each = 0; each < apart * m->heads; each++) {
            int64_t h = each % m->heads, own = each / m->heads;
            if (before) {
                int64_t key = heads + h / group * m->size;
                for (int64_t b = blocks->trees[own]; b < blocks->trees[own + 1]; b++)
                    see(blocks, blocks->blocks + b, wide, m->size, m->scale, mixed + h * m->size, mixed + key,
                        mixed + key + m->key_heads * m->size, m->heads, seen + h * m->size);
            } else {
                int64_t t = last ? wanted[own] : own;
                attend(m->keeps_half, positions[t] + 1, m->size, m->scale, mixed + t * wide + h * m->size, layer->keys,
                       layer->values, (rows[t] * m->key_heads + h / group) * m->window, work + THREAD * desk(m),
                       seen + each * m->size);
            }
        }
        for (int64_t w = 0; w < n && last; w++)
            memmove(states + w * m->hidden, states + wanted[w] * m->hidden, m->hidden * sizeof(float));
        product(n, heads, m->hidden, m->half, m->threads, seen, layer->out, layer->out_bias, 1, rounds, states);
        if (kept) memcpy(own.middle, states, n * m->hidden * sizeof(float));
        normalise(n, m->hidden, states, layer->between, m->epsilon, inner);
        product(n, m->hidden, 2 * m->inner, m->half, m->threads, inner, layer->widen, layer->widen_bias, 0, rounds,
                gates);
        for (int64_t t = 0; t < n; t++)
            for (int64_t i = 0; i < m->inner; i += LANES) {
                vec gate = load(gates + 2 * t * m->inner + i), up = load(gates + (2 * t + 1) * m->inner + i);
                put(active + t * m->inner + i, gate / (1.0f + exponential(-gate)) * up);
            }
        product(n, m->inner, m->hidden, m->half, m->threads, active, layer->narrow, layer->narrow_bias, 1, rounds,
                states);
    }
    if (kept) memcpy(kept_by(m, all, m->layers, kept).states, states, n * m->hidden * sizeof(float));
    normalise(n, m->hidden, states, m->norm, m->epsilon, hidden);
    release(&every);
    release(&some);
    return 0;
}

/* of y = normalise(x): its gradient `given` goes onto those of x and of the weight */
static void normalise_back(int64_t n, int64_t size, const float *x, const float *weight, float epsilon,
                           const float *given, float *gradient, float *own) {
    for (; n--; x += size, given += size, gradient += size) {
        vec squares = {0}, products = {0};
        for (int64_t i = 0; i < size; i += LANES) {
            squares += load(x + i) * load(x + i);
            products += load(x + i) * load(given + i) * load(weight + i);
        }
        float scale = 1.0f / sqrtf(total(squares) / size + epsilon), along = total(products) * scale * scale / size;
        for (int64_t i = 0; i < size; i += LANES) {
            put(gradient + i, load(gradient + i) + (load(given + i) * load(weight + i) - load(x + i) * along) * scale);
            put(own + i, load(own + i) + load(given + i) * load(x + i) * scale);
        }
    }
}

/* of one map of x (n, in) to (n, out): what `given` (n, out), whose rows are `down` apart, makes of the gradients of x,
= or +=, of the weights and of the bias */
static void map_back(const Learned *learned, int map, int64_t n, int64_t in, int64_t out, int64_t threads,
                     const float *x, const float *given, int64_t down, int onto, float *gradient) {
    plain_product(n, out, in, threads, given, down, 1, learned->weights[map], onto, gradient);
    plain_product(out, n, in, threads, given, 1, down, x, 1, learned->gradients[map]);
    float *bias = learned->biases[map];
    for (int64_t t = 0; t < n && bias; t++)
        for (int64_t i = 0; i < out; i++) bias[i] += given[t * down + i];
}

/* Gradients of the weights, from `given` (count, hidden), that of what `advance` made with `kept`. Those of the
embedding and of the last norm go onto `embedded` and `norm`. Weights are float, queries and keys have no norms.

Returns 2, with nothing done, if there is no memory, else 0. */
int back(const Model *m, const Layer *layers, const Learned *learned, int64_t n, const int64_t *tokens,
         const int64_t *positions, const int64_t *rows, const int64_t *before, int64_t count, const int64_t *wanted,
         float *work, float *kept, const float *given, float *embedded, float *norm) {
    const int64_t keys = m->key_heads * m->size, heads = m->heads * m->size, wide = heads + 2 * keys;
    const int64_t group = m->heads / m->key_heads, threads = m->threads;
    float *states = work + threads * desk(m), *inner = states + n * m->hidden, *between = inner + n * m->hidden;
    float *mixed = between + n * m->hidden, *seen = mixed + n * wide, *gates = seen + n * heads;
    float *active = gates + 2 * n * m->inner, *activity = active + n * m->inner; /* values, and their gradients */
    Blocks every, some;
    if (!arrange(&every, m, n, rows, before, n, 0)) return 2;
    if (!arrange(&some, m, n, rows, before, count, wanted)) {
        release(&every);
        return 2;
    }
    memset(states, 0, n * m->hidden * sizeof(float));
    normalise_back(count, m->hidden, kept_by(m, n, m->layers, kept).states, m->norm, m->epsilon, given, states, norm);
    for (int64_t l = m->layers - 1; l >= 0; l--) {
        const int last = l == m->layers - 1;
        const int64_t many = last ? count : n;
        const Layer *layer = layers + l;
        const Learned *own = learned + l;
        const Kept was = kept_by(m, n, l, kept);
        for (int64_t t = 0; t < many; t++)
            for (int64_t i = 0; i < m->inner; i += LANES) {
                vec gate = load(was.gates + 2 * t * m->inner + i), up = load(was.gates + (2 * t + 1) * m->inner + i);
                vec shut = 1.0f + exponential(-gate);
                put(active + t * m->inner + i, gate / shut * up);
                put(gates + 2 * t * m->inner + i, 1.0f / shut); /* how far it is open */
            }
        map_back(own, DOWN, many, m->inner, m->hidden, threads, active, states, m->hidden, 0, activity);
        for (int64_t t = 0; t < many; t++)
            for (int64_t i = 0; i < m->inner; i += LANES) {
                vec gate = load(was.gates + 2 * t * m->inner + i), up = load(was.gates + (2 * t + 1) * m->inner + i);
                vec open = load(gates + 2 * t * m->inner + i), change = load(activity + t * m->inner + i);
                put(gates + 2 * t * m->inner + i, change * up * open * (1.0f + gate * (1.0f - open)));
                put(gates + (2 * t + 1) * m->inner + i, change * gate * open);
            }
        normalise(many, m->hidden, was.middle, layer->between, m->epsilon, inner);
        for (int64_t half = 0; half < 2; half++)
            map_back(own, half ? UP : GATE, many, m->hidden, m->inner, threads, inner, gates + half * m->inner,
                     2 * m->inner, half, between);
        normalise_back(many, m->hidden, was.middle, layer->between, m->epsilon, between, states, own->between);
        map_back(own, OUT, many, heads, m->hidden, threads, was.seen, states, m->hidden, 0, seen);
        memset(mixed, 0, n * wide * sizeof(float));
        const Blocks *blocks = last ? &some : &every;
#pragma omp parallel for num_threads(threads) if (threads > 1)
        for (int64_t each = 0; each < blocks->many * m->key_heads; each++) {
            int64_t k = each % m->key_heads, key = heads + k * m->size, tree = each / m->key_heads;
            for (int64_t b = blocks->trees[tree]; b < blocks->trees[tree + 1]; b++)
                for (int64_t h = k * group; h < (k + 1) * group; h++)
                    see_back(blocks, blocks->blocks + b, wide, m->size, m->scale, was.mixed + h * m->size,
                             was.mixed + key, was.mixed + key + keys, m->heads, seen + h * m->size,
                             mixed + h * m->size, mixed + key, mixed + key + keys);
        }
        for (int64_t t = 0; t < n; t++)
            rotate(m->heads + m->key_heads, m->size, m->cos + positions[t] * m->size,
                   m->sin + positions[t] * (m->size / 2), -1.0f, mixed + t * wide);
        for (int64_t w = count; w-- && last;) { /* back to where they were */
            if (wanted[w] == w) continue;
            memcpy(states + wanted[w] * m->hidden, states + w * m->hidden, m->hidden * sizeof(float));
            memset(states + w * m->hidden, 0, m->hidden * sizeof(float));
        }
        normalise(n, m->hidden, was.states, layer->before, m->epsilon, inner);
        map_back(own, QUERY, n, m->hidden, heads, threads, inner, mixed, wide, 0, between);
        map_back(own, KEY, n, m->hidden, keys, threads, inner, mixed + heads, wide, 1, between);
        map_back(own, VALUE, n, m->hidden, keys, threads, inner, mixed + heads + keys, wide, 1, between);
        normalise_back(n, m->hidden, was.states, layer->before, m->epsilon, between, states, own->before);
    }
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < m->hidden; i += LANES) {
            float *onto = embedded + tokens[t] * m->hidden + i;
            put(onto, load(onto) + load(states + t * m->hidden + i));
        }
    release(&every);
    release(&some);
    return 0;
}
