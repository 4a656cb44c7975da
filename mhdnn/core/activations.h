// Functions of network nodes and their derivatives, in lanes; names as in mhdnn/networks.py and layered_network.py.
#pragma once

#include <cmath>
#include <string>

#include "lanes.h"

namespace mhdnn {

enum class Activation {
    linear,
    silu,
    tanh,
    softplus,
    softplus_to_20,
    logistic,
    relu,
    gaussian,
    cosine,
    reverse_logistic,
    exponential,
    square
};

// Errors are std::runtime_error.
Activation activation_from_name(const std::string& name);

template <class T>
inline Lanes<T> where_below_zero(Lanes<T> x, Lanes<T> then, Lanes<T> otherwise) {
    return Lanes<T>(x.native < typename Lanes<T>::Native{} ? then.native : otherwise.native);
}

template <class T, class Function>
inline Lanes<T> in_each_lane(Lanes<T> x, Function function) {
    for (int lane = 0; lane < Lanes<T>::width; ++lane) x.set(lane, function(x[lane]));
    return x;
}

// 1 / (1 + e^-x), without overflow.
template <class T>
inline Lanes<T> logistic(Lanes<T> x) {
    const Lanes<T> decay = exponential(where_below_zero(x, x, -x));
    const Lanes<T> large = inverse(decay + Lanes<T>(T(1)));
    return where_below_zero(x, decay * large, large);
}

// log(1 + e^x); above the limit it is x.
template <class T>
inline void softplus(Lanes<T> x, T limit, Lanes<T>& value, Lanes<T>& slope) {
    slope = in_each_lane(x, [limit](T one) { return one > limit ? T(1) : T(1) / (T(1) + std::exp(-one)); });
    value = in_each_lane(x, [limit](T one) { return one > limit ? one : std::log1p(std::exp(one)); });
}

template <class T>
inline void hyperbolic_tangent(Lanes<T> x, Lanes<T>& value, Lanes<T>& slope) {
    const Lanes<T> one(T(1)), decay = exponential(where_below_zero(x, x, -x) * Lanes<T>(T(2)));
    const Lanes<T> size = (one - decay) * inverse(one + decay);
    value = where_below_zero(x, -size, size);
    slope = one - value * value;
}

template <class T>
inline void activate(Activation kind, Lanes<T> x, Lanes<T>& value, Lanes<T>& slope) {
    const Lanes<T> one(T(1));
    switch (kind) {
        case Activation::linear:
            value = x;
            slope = one;
            return;
        case Activation::silu: {
            const Lanes<T> part = logistic(x);
            value = x * part;
            slope = part + value * (one - part);
            return;
        }
        case Activation::tanh:
            return hyperbolic_tangent(x, value, slope);
        case Activation::softplus:
            return softplus(x, T(50), value, slope);
        case Activation::softplus_to_20:
            return softplus(x, T(20), value, slope);
        case Activation::logistic:
            value = logistic(x);
            slope = value * (one - value);
            return;
        case Activation::relu:
            value = at_least(x, T(0));
            slope = zero_where_below(one, x, T(0));
            return;
        case Activation::gaussian:
            value = exponential(x * x * Lanes<T>(T(-0.5)));
            slope = -(x * value);
            return;
        case Activation::cosine:
            value = in_each_lane(x, [](T each) { return std::cos(each); });
            slope = in_each_lane(x, [](T each) { return -std::sin(each); });
            return;
        case Activation::reverse_logistic:
            value = logistic(-x);
            slope = -(value * (one - value));
            return;
        case Activation::exponential:
            value = in_each_lane(x, [](T each) { return std::exp(-each); });
            slope = -value;
            return;
        case Activation::square:
            value = x * x;
            slope = x + x;
            return;
    }
}

}  // namespace mhdnn
