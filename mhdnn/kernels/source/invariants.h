// Invariants of densities' moments under rotations.
//
//     three-body: sum_m A_lm^n A_lm^n' for n <= n', l = 0 ... L (moments.h with the densities of one element)
//     four-body:  four_body.h, of the first densities
#pragma once

#include <cstdint>

#include "four_body.h"
#include "moments.h"

namespace mhdnn {

struct InvariantShape {
    int num_densities, max_degree;
    FourBodyShape four_body;

    MHDNN_FUNCTION MomentShape pairs() const { return {1, 1, num_densities, max_degree, true, true}; }
    MHDNN_FUNCTION int num_harmonics() const { return (max_degree + 1) * (max_degree + 1); }
    MHDNN_FUNCTION int num_moments() const { return num_densities * num_harmonics(); }
    MHDNN_FUNCTION int num_three_body() const { return pairs().num_functions(); }
    MHDNN_FUNCTION int num_functions() const { return num_three_body() + four_body.num_functions; }
};

/// Raw pointers, the same for CPU and CUDA; with tangents derivatives along them are evaluated instead.
template <class T>
struct InvariantArguments {
    std::int64_t num_atoms;
    const T* moments;          // (num_atoms, num_moments)
    const T* moment_tangents;  // the same, or null
    // what is wanted; null where it is not
    const T* cotangent;  // (num_atoms, num_functions), for the gradient
    T* functions;        // (num_atoms, num_functions)
    T* moment_gradient;  // (num_atoms, num_moments)
};

/// Gradient of sum cotangent · functions by the moment (density, component of degree l); `coupled` are the B of the
/// four-body functions and by_coupled the gradients by them.
template <class Real>
MHDNN_FUNCTION Real invariant_gradient(
    const InvariantShape& shape, const Real* moments, const Real* coupled, const Real* by_coupled,
    const Constant<Real>* cotangent, int density, int component, int l) {
    const Real by_pairs = moment_gradient(shape.pairs(), moments, cotangent, density, component, l);
    if (density >= shape.four_body.num_densities || l > shape.four_body.max_degree) return by_pairs;
    return by_pairs + four_body_gradient(
                          shape.four_body, Moments<Real>{moments, shape.num_harmonics()}, coupled, by_coupled,
                          cotangent + shape.num_three_body(), density, component, l);
}

}  // namespace mhdnn
