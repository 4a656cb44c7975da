// Angular functions from moments of the neighbour density.
//
//     A_lm^{cn} = sum_j w_c(Z_j) g_n(r_ij) Y_lm(u_ij)
//     legendre: P_l^{pq} = sum_m A_lm^p A_lm^q            for p = (a, n) <= q = (b, n')
//     degrees:  the same for n = n' as a sum over pairs of different neighbours, each counted once:
//               own terms j = k are taken out, and a = b is halved. Wide functions are linear in these.
//
// One component is (p, l, m) at p * num_harmonics + l² + l + m; one output is (pair, l).
#pragma once

#include <type_traits>

#include "channels.h"
#include "radial_basis.h"

namespace mhdnn {

struct MomentShape {
    int num_elements, num_channels, num_radial, max_degree;
    bool cross_terms;  // whether n != n' are included
    bool own_terms;    // whether j = k stays in and both orders of a pair are counted

    MHDNN_FUNCTION int num_degrees() const { return max_degree + 1; }
    MHDNN_FUNCTION int num_harmonics() const { return num_degrees() * num_degrees(); }
    /// Components of one element or channel.
    MHDNN_FUNCTION int block() const { return num_radial * num_harmonics(); }
    MHDNN_FUNCTION int num_densities() const { return num_channels * num_radial; }
    MHDNN_FUNCTION bool has_pair(int p, int q) const { return cross_terms || p % num_radial == q % num_radial; }
    MHDNN_FUNCTION int num_pairs() const {
        return cross_terms ? num_unordered_pairs(num_densities()) : num_unordered_pairs(num_channels) * num_radial;
    }
    MHDNN_FUNCTION int num_functions() const { return num_pairs() * num_degrees(); }

    /// Number of the pair of densities p <= q.
    MHDNN_FUNCTION int pair(int p, int q) const {
        if (cross_terms) return unordered_pair(p, q, num_densities());
        return unordered_pair(p / num_radial, q / num_radial, num_channels) * num_radial + p % num_radial;
    }
    /// 1, or 1/2 where both orders of a pair of neighbours would be counted.
    template <class T>
    MHDNN_FUNCTION T count(int p, int q) const {
        return !own_terms && p == q ? T(0.5) : T(1);
    }
};

/// sum_e w_a(e) w_b(e) sum_{j of e} g_n²: what own terms contribute to every degree of a pair.
template <class Real>
MHDNN_FUNCTION Real
own_term(const MomentShape& shape, const ChannelTable<Real>& table, const Real* own_sums, int p, int q) {
    const int n = p % shape.num_radial, a = p / shape.num_radial, b = q / shape.num_radial;
    Real total = constant<Real>(Scalar<Real>(0));
    for (int element = 0; element < shape.num_elements; ++element) {
        total = total + table(element, a) * table(element, b) * own_sums[element * shape.num_radial + n];
    }
    return total;
}

/// P_l of the densities p <= q; `own` is their own term, or zero where it stays in.
template <class Real>
MHDNN_FUNCTION Real moment_product(const MomentShape& shape, const Real* moments, Real own, int p, int q, int l) {
    const Real* first = moments + p * shape.num_harmonics() + l * l;
    const Real* second = moments + q * shape.num_harmonics() + l * l;
    Real total = first[0] * second[0] - own;
    for (int m = 1; m < 2 * l + 1; ++m) total = total + first[m] * second[m];
    return total * shape.template count<Scalar<Real>>(p, q);
}

/// Gradient of sum cotangent · P by the moment (p, component of degree l).
template <class Real>
MHDNN_FUNCTION Real moment_gradient(
    const MomentShape& shape, const Real* moments, const Constant<Real>* cotangent, int p, int component, int l) {
    using T = Scalar<Real>;
    Real total = constant<Real>(T(0));
    const int step = shape.cross_terms ? 1 : shape.num_radial;
    for (int q = shape.cross_terms ? 0 : p % shape.num_radial; q < shape.num_densities(); q += step) {
        const int pair = p < q ? shape.pair(p, q) : shape.pair(q, p);
        const T factor = shape.template count<T>(p, q) * (p == q ? T(2) : T(1));
        const Constant<Real> weight = cotangent[pair * shape.num_degrees() + l] * factor;
        total = total + moments[q * shape.num_harmonics() + component] * weight;
    }
    return total;
}

/// Minus the sum of a pair's cotangents over degrees: gradient by its own term.
template <class Real>
MHDNN_FUNCTION Constant<Real> own_term_gradient(
    const MomentShape& shape, const Constant<Real>* cotangent, int p, int q) {
    using T = Scalar<Real>;
    Constant<Real> total = Constant<Real>(T(0));
    for (int l = 0; l < shape.num_degrees(); ++l) {
        total = total + cotangent[shape.pair(p, q) * shape.num_degrees() + l];
    }
    return total * (-shape.template count<T>(p, q));
}

/// Gradient by the own sum (element, n): sum_ab w_a w_b dE/d(own term ab).
template <class Real>
MHDNN_FUNCTION Real own_sum_gradient(
    const MomentShape& shape, const ChannelTable<Real>& table, const Constant<Real>* cotangent, int element, int n) {
    Real total = constant<Real>(Scalar<Real>(0));
    for (int a = 0; a < shape.num_channels; ++a) {
        for (int b = a; b < shape.num_channels; ++b) {
            const int p = a * shape.num_radial + n, q = b * shape.num_radial + n;
            total = total + table(element, a) * table(element, b) * own_term_gradient<Real>(shape, cotangent, p, q);
        }
    }
    return total;
}

/// Gradient by a weight through the own terms.
template <class Real>
MHDNN_FUNCTION Real own_weight_gradient(
    const MomentShape& shape, const ChannelTable<Real>& table, const Real* own_sums, const Constant<Real>* cotangent,
    int element, int channel) {
    using T = Scalar<Real>;
    Real total = constant<Real>(T(0));
    for (int n = 0; n < shape.num_radial; ++n) {
        for (int b = 0; b < shape.num_channels; ++b) {
            const int p = (b < channel ? b : channel) * shape.num_radial + n;
            const int q = (b < channel ? channel : b) * shape.num_radial + n;
            const Constant<Real> gradient = own_term_gradient<Real>(shape, cotangent, p, q);
            const T factor = b == channel ? T(2) : T(1);
            total = total + table(element, b) * own_sums[element * shape.num_radial + n] * (gradient * factor);
        }
    }
    return total;
}

/// Up to this number of densities sums over pairs of them stay in registers.
constexpr int few_densities = 8;

/// Calls action with the number as a constant, std::integral_constant, where it is small; whether it was.
template <class Action>
MHDNN_FUNCTION bool with_few(int number, Action action) {
    static_assert(few_densities == 8, "a case for each");
    switch (number) {
        case 1:
            return action(std::integral_constant<int, 1>()), true;
        case 2:
            return action(std::integral_constant<int, 2>()), true;
        case 3:
            return action(std::integral_constant<int, 3>()), true;
        case 4:
            return action(std::integral_constant<int, 4>()), true;
        case 5:
            return action(std::integral_constant<int, 5>()), true;
        case 6:
            return action(std::integral_constant<int, 6>()), true;
        case 7:
            return action(std::integral_constant<int, 7>()), true;
        case 8:
            return action(std::integral_constant<int, 8>()), true;
        default:
            return false;
    }
}

/// `moment_gradient` of all densities by one component of degree l, for `number` densities with cross terms:
/// gradient[p * num_harmonics]. Every cotangent is read once.
template <int number, class Real>
MHDNN_FUNCTION void moment_gradients_of_few(
    const MomentShape& shape, const Real* moments, const Constant<Real>* cotangent, int component, int l,
    Real* gradient) {
    using T = Scalar<Real>;
    Real moment[number], sum[number];
    MHDNN_UNROLL
    for (int p = 0; p < number; ++p) {
        moment[p] = moments[p * shape.num_harmonics() + component];
        sum[p] = constant<Real>(T(0));
    }
    const T own = shape.own_terms ? T(2) : T(1);
    const Constant<Real>* next = cotangent + l;
    MHDNN_UNROLL
    for (int p = 0; p < number; ++p) {
        sum[p] = sum[p] + moment[p] * (*next * own);
        next += shape.num_degrees();
        MHDNN_UNROLL
        for (int q = p + 1; q < number; ++q) {
            sum[p] = sum[p] + moment[q] * *next;
            sum[q] = sum[q] + moment[p] * *next;
            next += shape.num_degrees();
        }
    }
    MHDNN_UNROLL
    for (int p = 0; p < number; ++p) gradient[p * shape.num_harmonics()] = sum[p];
}

/// `neighbor_gradient` of `number` radial functions.
template <int number, class Real, class Gradient>
MHDNN_FUNCTION void neighbor_gradient_of_few(
    int num_harmonics, const Gradient* gradient, const Real* radial, const Real* harmonic, Real* by_harmonic,
    Real* by_radial) {
    Real value[number], sum[number];
    MHDNN_UNROLL
    for (int n = 0; n < number; ++n) {
        value[n] = radial[n];
        sum[n] = by_radial[n];
    }
    for (int component = 0; component < num_harmonics; ++component) {
        const Real y = harmonic[component];
        Real total = constant<Real>(Scalar<Real>(0));
        MHDNN_UNROLL
        for (int n = 0; n < number; ++n) {
            const Gradient by_moment = gradient[n * num_harmonics + component];
            total = total + by_moment * value[n];
            sum[n] = sum[n] + by_moment * y;
        }
        by_harmonic[component] = total;
    }
    MHDNN_UNROLL
    for (int n = 0; n < number; ++n) by_radial[n] = sum[n];
}

/// By a neighbour: gradients of sum gradient · moments by its harmonics (`by_harmonic`, which may take their place) and
/// by its radial functions (added to `by_radial`). Gradient is Real, or the same without a tangent.
template <class Real, class Gradient>
MHDNN_FUNCTION void neighbor_gradient(
    int num_radial, int num_harmonics, const Gradient* gradient, const Real* radial, const Real* harmonic,
    Real* by_harmonic, Real* by_radial) {
    const bool done = with_few(num_radial, [&](auto number) {
        neighbor_gradient_of_few<decltype(number)::value>(
            num_harmonics, gradient, radial, harmonic, by_harmonic, by_radial);
    });
    if (done) return;
    for (int component = 0; component < num_harmonics; ++component) {
        Real total = constant<Real>(Scalar<Real>(0));
        for (int n = 0; n < num_radial; ++n) {
            const Gradient by_moment = gradient[n * num_harmonics + component];
            total = total + by_moment * radial[n];
            by_radial[n] = by_radial[n] + by_moment * harmonic[component];
        }
        by_harmonic[component] = total;
    }
}

}  // namespace mhdnn
