// Angular functions as sums over pairs of neighbours, each pair once:
//
//     narrow: 2^(1-ζ) (1 + λ cosθ)^ζ g_n(r_ij) g_n(r_ik) exp(-η_n (r_jk - t_n)²) f_c(r_jk)
//     wide:   the same without the last two factors
//
// The third side has no shift (t = 0), but in lists of functions for certain elements (lists.h), whose t is that of g.
//
// A function f is a radial function n = radial_index[f] and a power (ζ, λ) = power_index[f]; equal powers and
// equal radial functions are evaluated once for each pair of neighbours.
#pragma once

#include <cstdint>

#include "channels.h"
#include "radial_basis.h"

namespace mhdnn {

struct TripletShape {
    int num_elements, num_channels, num_radial, num_powers, num_angular;
    bool third_side;
    const std::int64_t* radial_index;  // (num_angular)
    const std::int64_t* power_index;   // (num_angular)
    const std::int64_t* zetas;         // (num_powers)
    const std::int64_t* lambdas;       // (num_powers)
    bool third_side_shifted = false;

    MHDNN_FUNCTION int num_functions() const { return num_unordered_pairs(num_channels) * num_angular; }
};

/// A neighbour as a side of triangles: its vector, direction and radial functions.
template <class Real>
struct Side {
    Real x, y, z;
    Direction<Real> u;
    const Real* radial;
};

/// What functions need of the third side and the angle, and how these change.
template <class Real>
struct Triangle {
    Real cosine;
    Real* third;        // exp(-η_n (√s - t_n)²) f_c(√s) for each n, s = r_jk²
    Real* third_slope;  // by s
    Real* power;        // 2^(1-ζ) (1 + λ cosθ)^ζ for each (ζ, λ)
    Real* power_slope;  // by cosθ
};

template <class Real>
MHDNN_FUNCTION void evaluate_power(Real cosine, int zeta, int lambda, Real& value, Real& slope) {
    using T = Scalar<Real>;
    const Real base = cosine * T(lambda) + T(1);
    Real lower = constant<Real>(T(1));  // [(1 + λ cosθ)/2]^(ζ-1)
    Real square = base * T(0.5);
    for (int exponent = zeta - 1; exponent > 0; exponent /= 2) {
        if (exponent % 2 == 1) lower = lower * square;
        if (exponent > 1) square = square * square;
    }
    value = lower * base;
    slope = lower * T(zeta * lambda);
}

template <class Real, class T>
MHDNN_FUNCTION void evaluate_triangle(
    const TripletShape& shape, const RadialBasis<T>& basis, const Side<Real>& j, const Side<Real>& k,
    Triangle<Real>& triangle) {
    triangle.cosine = j.u.x * k.u.x + j.u.y * k.u.y + j.u.z * k.u.z;
    for (int p = 0; p < shape.num_powers; ++p) {
        evaluate_power(
            triangle.cosine, int(shape.zetas[p]), int(shape.lambdas[p]), triangle.power[p], triangle.power_slope[p]);
    }
    if (!shape.third_side) return;
    const Real x = k.x - j.x, y = k.y - j.y, z = k.z - j.z;
    const Real square = at_least(x * x + y * y + z * z, T(1e-6));  // no two neighbours are this close
    const Real distance = square_root(square);
    Real cutoff, cutoff_slope;
    cutoff_value(basis, distance, cutoff, cutoff_slope);
    const Real slope_by_square = cutoff_slope * inverse(distance) * T(0.5);
    for (int n = 0; n < shape.num_radial; ++n) {
        if (shape.third_side_shifted && basis.shifts[n] != T(0)) {
            Real value, slope;
            gaussian(basis, n, distance, value, slope);
            triangle.third[n] = value * cutoff;
            triangle.third_slope[n] = value * slope_by_square + slope * cutoff * inverse(distance) * T(0.5);
            continue;
        }
        const Real value = exponential(square * (-basis.etas[n]));
        triangle.third[n] = value * cutoff;
        triangle.third_slope[n] = value * slope_by_square - triangle.third[n] * basis.etas[n];
    }
}

/// g_n(r_ij) g_n(r_ik) times the third side's factor.
template <class Real>
MHDNN_FUNCTION Real triangle_weight(
    const TripletShape& shape, const Triangle<Real>& triangle, const Real* radial_j, const Real* radial_k, int n) {
    const Real product = radial_j[n] * radial_k[n];
    return shape.third_side ? product * triangle.third[n] : product;
}

/// Gradients of sum cotangent · functions of one triangle.
template <class Real>
struct TriangleGradient {
    Real by_cosine;
    Real by_square;  // of the third side
};

/// Numbers that `triangle_gradient` needs as working space.
MHDNN_FUNCTION int triangle_scratch(const TripletShape& shape) { return 2 * shape.num_radial + shape.num_powers; }

/// Gradient by angle and third side; gradients by the radial functions of j and k are added to by_radial_j and
/// by_radial_k. Leaves the `triangle_weight` of every n in scratch[num_radial + n].
template <class Real>
MHDNN_FUNCTION TriangleGradient<Real> triangle_gradient(
    const TripletShape& shape, const Triangle<Real>& triangle, const Side<Real>& j, const Side<Real>& k,
    const Real* cotangent, Real* scratch, Real* by_radial_j, Real* by_radial_k) {
    const Real zero = constant<Real>(Scalar<Real>(0));
    TriangleGradient<Real> gradient{zero, zero};
    Real *by_weight = scratch, *weight = by_weight + shape.num_radial, *by_power = weight + shape.num_radial;
    for (int p = 0; p < shape.num_powers; ++p) by_power[p] = zero;
    for (int n = 0; n < shape.num_radial; ++n) {
        by_weight[n] = zero;
        weight[n] = triangle_weight(shape, triangle, j.radial, k.radial, n);
    }
    for (int f = 0; f < shape.num_angular; ++f) {
        const int n = int(shape.radial_index[f]), p = int(shape.power_index[f]);
        by_weight[n] = by_weight[n] + cotangent[f] * triangle.power[p];
        by_power[p] = by_power[p] + cotangent[f] * weight[n];
    }
    for (int p = 0; p < shape.num_powers; ++p) {
        gradient.by_cosine = gradient.by_cosine + by_power[p] * triangle.power_slope[p];
    }
    for (int n = 0; n < shape.num_radial; ++n) {
        const Real by_product = shape.third_side ? by_weight[n] * triangle.third[n] : by_weight[n];
        by_radial_j[n] = by_radial_j[n] + by_product * k.radial[n];
        by_radial_k[n] = by_radial_k[n] + by_product * j.radial[n];
        if (shape.third_side) {
            const Real product = j.radial[n] * k.radial[n];
            gradient.by_square = gradient.by_square + by_weight[n] * product * triangle.third_slope[n];
        }
    }
    return gradient;
}

/// How the function f of two elements (a row `by_function` of num_angular numbers for each unordered pair of
/// elements) enters a pair of channels, and back.
template <class Real>
MHDNN_FUNCTION Real
mixed_pair(const TripletShape& shape, const ChannelTable<Real>& table, const Real* sums, int a, int b, int f) {
    Real total = constant<Real>(Scalar<Real>(0));
    int pair = 0;
    for (int d = 0; d < shape.num_elements; ++d) {
        for (int e = d; e < shape.num_elements; ++e, ++pair) {
            total = total + pair_weight(table, d, e, a, b) * sums[pair * shape.num_angular + f];
        }
    }
    return total;
}

template <class Real>
MHDNN_FUNCTION Real unmixed_pair(
    const TripletShape& shape, const ChannelTable<Real>& table, const Constant<Real>* cotangent, int d, int e, int f) {
    Real total = constant<Real>(Scalar<Real>(0));
    int pair = 0;
    for (int a = 0; a < shape.num_channels; ++a) {
        for (int b = a; b < shape.num_channels; ++b, ++pair) {
            total = total + pair_weight(table, d, e, a, b) * cotangent[pair * shape.num_angular + f];
        }
    }
    return total;
}

/// Gradient by the weight of a pair of elements in a pair of channels.
template <class Real>
MHDNN_FUNCTION Real pair_weight_gradient(
    const TripletShape& shape, const Real* sums, const Constant<Real>* cotangent, int element_pair, int channel_pair) {
    Real total = constant<Real>(Scalar<Real>(0));
    for (int f = 0; f < shape.num_angular; ++f) {
        total = total + sums[element_pair * shape.num_angular + f] * cotangent[channel_pair * shape.num_angular + f];
    }
    return total;
}

/// Gradient by w_c(Z) from the gradients by all pair weights (element pairs by channel pairs).
template <class Real>
MHDNN_FUNCTION Real weight_gradient_of_pairs(
    const TripletShape& shape, const ChannelTable<Real>& table, const Real* by_pair_weight, int element, int channel) {
    using T = Scalar<Real>;
    Real total = constant<Real>(T(0));
    for (int e = 0; e < shape.num_elements; ++e) {
        const int element_pair = e < element ? unordered_pair(e, element, shape.num_elements)
                                             : unordered_pair(element, e, shape.num_elements);
        for (int b = 0; b < shape.num_channels; ++b) {
            const int channel_pair = b < channel ? unordered_pair(b, channel, shape.num_channels)
                                                 : unordered_pair(channel, b, shape.num_channels);
            const Real by_pair = by_pair_weight[element_pair * num_unordered_pairs(shape.num_channels) + channel_pair];
            total = total + table(e, b) * by_pair * (e == element ? T(2) : T(1));
        }
    }
    return total;
}

}  // namespace mhdnn
