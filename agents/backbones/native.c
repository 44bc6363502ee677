/* New tokens through the layers of a small Llama-type model, float32, on one thread: see native.py.

Between two products of such a model torch spends more time on starting operations than on computing. Here a token's
layers are one call, whose products keep up to eight rows in registers while a panel of weights goes by. */

#include <math.h>
#include <stdint.h>
#include <string.h>

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
#define WIDE (2 * LANES)

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    const float *mix, *mix_bias, *query_norm, *key_norm, *out, *out_bias, *widen, *widen_bias, *narrow, *narrow_bias;
    float *keys, *values; /* (rows, key heads, window, size) */
} Layer;

typedef struct {
    int64_t layers, hidden, inner, heads, key_heads, size, window, words, positions;
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

/* exp(x) to two units in the last place, for x from -87 to 88 (Moshier, Cephes, expf) */
static inline vec exponential(vec x) {
    for (int i = 0; i < LANES; i++) x[i] = x[i] < -87.0f ? -87.0f : x[i] > 88.0f ? 88.0f : x[i];
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
                                                       const float *panel, const float *bias, const float *add,
                                                       float *y) {
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
        if (add) low[r] += load(add + r * out), high[r] += load(add + r * out + LANES);
        put(y + r * out, low[r]);
        put(y + r * out + LANES, high[r]);
    }
}

/* y (n, out) = x (n, in) weights + bias + add, the weights (out / PANEL, in, PANEL); bias and add may be null */
static void product(int64_t n, int64_t in, int64_t out, const float *x, const float *weights, const float *bias,
                    const float *add, float *y) {
    for (int64_t column = 0; column < out; column += WIDE)
        for (int64_t row = 0; row < n; row += ROWS) {
            const float *panel = weights + column / PANEL * PANEL * in + column % PANEL, *b = bias ? bias + column : 0;
            const float *from = x + row * in, *a = add ? add + row * out + column : 0;
            float *to = y + row * out + column;
            switch (n - row < ROWS ? n - row : ROWS) {
#define TILE(rows) case rows: tile(rows, in, out, from, panel, b, a, to); break;
                TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if ROWS == 8
                TILE(7) TILE(8)
#endif
            }
        }
}

static void normalise(int64_t n, int64_t size, const float *x, const float *weight, float epsilon, float *y) {
    for (; n--; x += size, y += size) {
        vec squares = {0};
        for (int64_t i = 0; i < size; i += LANES) squares += load(x + i) * load(x + i);
        float scale = 1.0f / sqrtf(total(squares) / size + epsilon);
        for (int64_t i = 0; i < size; i += LANES) {
            vec value = load(x + i) * scale;
            if (weight) value *= load(weight + i);
            put(y + i, value);
        }
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

/* Weights (out, in), times scale (in) unless it is null, as panels (out / PANEL, in, PANEL). */
void pack(int64_t out, int64_t in, const float *weights, const float *scale, float *panels) {
    for (; out > 0; out -= PANEL, weights += PANEL * in)
        for (int64_t i = 0; i < in; i++, panels += PANEL)
            for (int64_t column = 0; column < PANEL; column++)
                panels[column] = weights[column * in + i] * (scale ? scale[i] : 1.0f);
}

/* Room that `advance` works in, in floats. */
int64_t room(const Model *m, int64_t n) {
    int64_t mixed = (m->heads + 2 * m->key_heads) * m->size;
    return n * (m->hidden + mixed + m->heads * m->size + 2 * m->inner) + m->window + LANES;
}

/* Read n tokens, of which each attends to its row up to its own position; their states go to hidden (n, hidden).
Returns 1, with nothing done, if a token or a position is out of range, else 0. */
int advance(const Model *m, const Layer *layers, int64_t n, const int64_t *tokens, const int64_t *rows,
            const int64_t *positions, float *work, float *hidden) {
    int64_t wide = (m->heads + 2 * m->key_heads) * m->size, heads = m->heads * m->size, group = m->heads / m->key_heads;
    float *inner = work, *mixed = inner + n * m->hidden, *seen = mixed + n * wide, *gates = seen + n * heads;
    float *scores = gates + n * 2 * m->inner;
    for (int64_t t = 0; t < n; t++)
        if (tokens[t] < 0 || tokens[t] >= m->words || positions[t] < 0 || positions[t] >= m->window ||
            positions[t] >= m->positions)
            return 1;
    for (int64_t t = 0; t < n; t++)
        memcpy(hidden + t * m->hidden, m->embedding + tokens[t] * m->hidden, m->hidden * sizeof(float));
    for (const Layer *layer = layers; layer < layers + m->layers; layer++) {
        normalise(n, m->hidden, hidden, 0, m->epsilon, inner);
        product(n, m->hidden, wide, inner, layer->mix, layer->mix_bias, 0, mixed);
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
        for (int64_t t = 0; t < n; t++)
            for (int64_t h = 0; h < m->heads; h++) {
                int64_t first = (rows[t] * m->key_heads + h / group) * m->window * m->size;
                attend(positions[t] + 1, m->size, m->scale, mixed + t * wide + h * m->size, layer->keys + first,
                       layer->values + first, scores, seen + t * heads + h * m->size);
            }
        product(n, heads, m->hidden, seen, layer->out, layer->out_bias, hidden, hidden);
        normalise(n, m->hidden, hidden, 0, m->epsilon, inner);
        product(n, m->hidden, 2 * m->inner, inner, layer->widen, layer->widen_bias, 0, gates);
        for (int64_t t = 0; t < n; t++)
            for (int64_t i = 0; i < m->inner; i += LANES) {
                vec gate = load(gates + 2 * t * m->inner + i), up = load(gates + (2 * t + 1) * m->inner + i);
                put(gates + t * m->inner + i, gate / (1.0f + exponential(-gate)) * up);
            }
        product(n, m->inner, m->hidden, gates, layer->narrow, layer->narrow_bias, hidden, hidden);
    }
    normalise(n, m->hidden, hidden, m->norm, m->epsilon, hidden);
    return 0;
}
