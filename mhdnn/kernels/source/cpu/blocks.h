// Sums over neighbours, densities and harmonics in blocks, so that numbers stay in registers.
#pragma once

#include "../moments.h"

namespace mhdnn::cpu {

/// Adds the products of densities and harmonics of `count` neighbours, or their tangents, to the moments.
template <int count, class Real>
inline void add_moments(
    int num_densities, int num_harmonics, const Real* densities, const Real* harmonics, Constant<Real>* moments) {
    for (int n = 0; n < num_densities; ++n) {
        Real density[count];
        for (int j = 0; j < count; ++j) density[j] = densities[j * num_densities + n];
        Constant<Real>* row = moments + n * num_harmonics;
        for (int i = 0; i < num_harmonics; ++i) {
            Constant<Real> total = row[i];
            for (int j = 0; j < count; ++j) total = total + result(density[j] * harmonics[j * num_harmonics + i]);
            row[i] = total;
        }
    }
}

/// `neighbor_gradient` of `count` densities; gradients by harmonics are added to those of the densities before.
template <int count, class Real, class Gradient>
inline void add_gradient(
    int num_harmonics, const Gradient* gradient, const Real* density, const Real* harmonic, bool is_first,
    Real* by_harmonic, Real* by_density) {
    const Real zero = constant<Real>(Scalar<Real>(0));
    Real values[count], totals[count];
    for (int n = 0; n < count; ++n) {
        values[n] = density[n];
        totals[n] = by_density[n];
    }
    for (int i = 0; i < num_harmonics; ++i) {
        Real total = is_first ? zero : by_harmonic[i];
        const Real value = harmonic[i];
        for (int n = 0; n < count; ++n) {
            const Gradient by_moment = gradient[n * num_harmonics + i];
            total = total + by_moment * values[n];
            totals[n] = totals[n] + by_moment * value;
        }
        by_harmonic[i] = total;
    }
    for (int n = 0; n < count; ++n) by_density[n] = totals[n];
}

/// By a neighbour: gradients of sum gradient · moments by its harmonics (`by_harmonic`) and by its densities (added
/// to `by_density`). Gradient is Real, or the same without a tangent.
template <class Real, class Gradient>
inline void neighbor_gradient_in_blocks(
    int num_densities, int num_harmonics, const Gradient* gradient, const Real* density, const Real* harmonic,
    Real* by_harmonic, Real* by_density) {
    constexpr int block = 4;
    int n = 0;
    for (; n + block <= num_densities; n += block) {
        add_gradient<block>(
            num_harmonics, gradient + n * num_harmonics, density + n, harmonic, n == 0, by_harmonic, by_density + n);
    }
    for (; n < num_densities; ++n) {
        add_gradient<1>(
            num_harmonics, gradient + n * num_harmonics, density + n, harmonic, n == 0, by_harmonic, by_density + n);
    }
}

}  // namespace mhdnn::cpu
