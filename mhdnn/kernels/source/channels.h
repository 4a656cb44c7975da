// Elements and channels: sums are made for each element of the neighbours first, and mixed afterwards by the
// weights w_c(Z). So the loops over neighbours don't depend on the number of channels.
//
// In the functions below `values` has one row of `size` components for every element or channel.
#pragma once

#include "real.h"

namespace mhdnn {

/// Weights w_c(Z), row-major by element.
template <class Real>
struct ChannelTable {
    const Real* weights;
    int num_elements, num_channels;

    MHDNN_FUNCTION Real operator()(int element, int channel) const { return weights[element * num_channels + channel]; }
};

/// Radial functions of every channel: sum_j w_c(Z_j) g_n(r_ij).
struct RadialShape {
    int num_elements, num_channels, num_radial;

    MHDNN_FUNCTION int num_functions() const { return num_channels * num_radial; }
};

/// Unordered pairs (a <= b) of n things, counted row by row.
MHDNN_FUNCTION int unordered_pair(int a, int b, int n) { return a * n - a * (a - 1) / 2 + (b - a); }
MHDNN_FUNCTION int num_unordered_pairs(int n) { return n * (n + 1) / 2; }

/// A pair for each i < n (n + 1) / 2, in an order without roots: the row of a short one is filled up with a long one.
MHDNN_FUNCTION void pair_of_number(int i, int n, int& a, int& b) {
    const int width = n | 1, row = i / width, place = i % width;
    a = place < n - row ? row : 2 * n - width - row;
    b = a + (place < n - row ? place : place - (n - row));
}

/// sum_e w_c(e) values_e of one component.
template <class Real>
MHDNN_FUNCTION Real mixed(const ChannelTable<Real>& table, const Real* values, int size, int channel, int component) {
    Real total = constant<Real>(Scalar<Real>(0));
    for (int element = 0; element < table.num_elements; ++element) {
        total = total + table(element, channel) * values[element * size + component];
    }
    return total;
}

/// Gradient of `mixed` by the value of an element: sum_c w_c(e) gradient_c.
template <class Real>
MHDNN_FUNCTION Real
unmixed(const ChannelTable<Real>& table, const Real* gradient, int size, int element, int component) {
    Real total = constant<Real>(Scalar<Real>(0));
    for (int channel = 0; channel < table.num_channels; ++channel) {
        total = total + table(element, channel) * gradient[channel * size + component];
    }
    return total;
}

/// Gradient of `mixed` by a weight: sum over components of values_e gradient_c.
template <class Real>
MHDNN_FUNCTION Real weight_gradient(const Real* values, const Real* gradient, int size, int element, int channel) {
    Real total = constant<Real>(Scalar<Real>(0));
    for (int component = 0; component < size; ++component) {
        total = total + values[element * size + component] * gradient[channel * size + component];
    }
    return total;
}

/// How often a pair of neighbours of elements d <= e counts in the pair of channels a <= b.
template <class Real>
MHDNN_FUNCTION Real pair_weight(const ChannelTable<Real>& table, int d, int e, int a, int b) {
    const Real straight = table(d, a) * table(e, b);
    return a == b ? straight : straight + table(d, b) * table(e, a);
}

}  // namespace mhdnn
