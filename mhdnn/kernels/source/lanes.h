// Many numbers side by side in one vector register of the CPU: an atom in every lane.
//
// GCC's and Clang's vector types: the compiler makes AVX-512, AVX2, NEON or plain code of them.
#pragma once

#include <cstdint>

#include "real.h"

namespace mhdnn {

template <class T>
struct VectorTypes;

template <>
struct VectorTypes<float> {
    typedef float Native __attribute__((vector_size(64)));
    typedef std::uint32_t Bits __attribute__((vector_size(64)));
};

template <>
struct VectorTypes<double> {
    typedef double Native __attribute__((vector_size(64)));
    typedef std::uint64_t Bits __attribute__((vector_size(64)));
};

template <class T>
struct Lanes {
    using Native = typename VectorTypes<T>::Native;
    static constexpr int width = 64 / sizeof(T);
    Native native;

    Lanes() = default;
    Lanes(T value) : native(value - Native{}) {}
    explicit Lanes(Native values) : native(values) {}

    T operator[](int lane) const { return native[lane]; }
    void set(int lane, T value) { native[lane] = value; }

    friend inline Lanes operator-(Lanes a) { return Lanes(-a.native); }
    friend inline Lanes operator+(Lanes a, Lanes b) { return Lanes(a.native + b.native); }
    friend inline Lanes operator-(Lanes a, Lanes b) { return Lanes(a.native - b.native); }
    friend inline Lanes operator*(Lanes a, Lanes b) { return Lanes(a.native * b.native); }
};

template <class T>
struct ScalarOf<Lanes<T>> {
    using type = T;
};

template <class T>
inline Lanes<T> inverse(Lanes<T> x) {
    return Lanes<T>(T(1) / x.native);
}

template <class T>
inline Lanes<T> square_root(Lanes<T> x) {
    typename Lanes<T>::Native root;
    for (int lane = 0; lane < Lanes<T>::width; ++lane) root[lane] = std::sqrt(x.native[lane]);
    return Lanes<T>(root);
}

template <class T>
inline Lanes<T> at_least(Lanes<T> x, T minimum) {
    const Lanes<T> bound(minimum);
    return Lanes<T>(x.native < bound.native ? bound.native : x.native);
}

template <class T>
inline Lanes<T> zero_where_below(Lanes<T> a, Lanes<T> x, T minimum) {
    const Lanes<T> bound(minimum);
    return Lanes<T>(x.native < bound.native ? typename Lanes<T>::Native{} : a.native);
}

/// Sum over the lanes.
template <class T>
inline T sum(Lanes<T> x) {
    T total = 0;
    for (int lane = 0; lane < Lanes<T>::width; ++lane) total += x.native[lane];
    return total;
}

/// Exchanges rows and columns of a square of numbers.
template <class T>
inline void transpose(Lanes<T>* rows) {
    constexpr int width = Lanes<T>::width;
#if defined(__GNUC__) && !defined(__clang__)
    using Bits = typename VectorTypes<T>::Bits;
#pragma GCC unroll 4
    for (int step = 1; step < width; step *= 2) {  // exchanges squares of this size beside the diagonal
        Bits low{}, high{};
#pragma GCC unroll 16
        for (int lane = 0; lane < width; ++lane) {
            low[lane] = (lane & step) == 0 ? lane : width + lane - step;
            high[lane] = (lane & step) == 0 ? lane + step : width + lane;
        }
#pragma GCC unroll 16
        for (int i = 0; i < width; ++i) {
            if ((i & step) != 0) continue;
            const auto first = rows[i].native, second = rows[i + step].native;
            rows[i].native = __builtin_shuffle(first, second, low);
            rows[i + step].native = __builtin_shuffle(first, second, high);
        }
    }
#else
    for (int i = 0; i < width; ++i) {
        for (int k = 0; k < i; ++k) {
            const T below = rows[i][k];
            rows[i].set(k, rows[k][i]);
            rows[k].set(i, below);
        }
    }
#endif
}

template <class T>
struct ExponentialConstants;

template <>
struct ExponentialConstants<float> {
    static constexpr float smallest = -60.0f;  // so that products with small numbers stay normal, or they'd be slow
    static constexpr float rounding = 12582912.0f;    // 1.5 * 2^23: adding it leaves an integer in the low bits
    static constexpr float log2_high = 0.693359375f;  // few bits: a small multiple of it is exact
    static constexpr float log2_low = -2.12194440e-4f;
    static constexpr int mantissa_bits = 23;
    static constexpr int highest_power = 7;
};

template <>
struct ExponentialConstants<double> {
    static constexpr double smallest = -600.0;
    static constexpr double rounding = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double log2_high = 6.93145751953125e-1;
    static constexpr double log2_low = 1.42860682030941723212e-6;
    static constexpr int mantissa_bits = 52;
    static constexpr int highest_power = 13;
};

constexpr double factorial(int n) { return n > 1 ? n * factorial(n - 1) : 1.0; }

/// exp(x) for x <= 88, and where x is below `smallest` that of `smallest`: 2^k times the Taylor polynomial of the rest,
/// |rest| <= log(2)/2.
template <class T>
inline Lanes<T> exponential(Lanes<T> x) {
    using C = ExponentialConstants<T>;
    using Native = typename Lanes<T>::Native;
    using Bits = typename VectorTypes<T>::Bits;
    x = at_least(x, C::smallest);
    const Native shifted = x.native * T(1.44269504088896340736) + C::rounding;
    const Native multiple = shifted - C::rounding;
    const Native rest = (x.native - multiple * C::log2_high) - multiple * C::log2_low;
    Native value = Lanes<T>(T(1 / factorial(C::highest_power))).native;
#pragma GCC unroll 16
    for (int power = C::highest_power - 1; power >= 0; --power) value = value * rest + T(1 / factorial(power));
    return Lanes<T>((Native)((Bits)value + ((Bits)shifted << C::mantissa_bits)));
}

/// Taylor polynomials; for 0 <= x <= pi/2 what is left out is below the rounding error.
template <class T>
inline void sine_cosine(Lanes<T> x, Lanes<T>& sine, Lanes<T>& cosine) {
    constexpr int highest_power = sizeof(T) == 4 ? 13 : 23;
    const Lanes<T> square = x * x;
    sine = Lanes<T>(T(1));
    cosine = Lanes<T>(T(1));
    for (int n = highest_power; n > 1; n -= 2) {
        sine = T(1) - square * (sine * (T(1) / T(n * (n - 1))));
        cosine = T(1) - square * (cosine * (T(1) / T((n - 1) * (n - 2))));
    }
    sine = sine * x;
}

}  // namespace mhdnn
