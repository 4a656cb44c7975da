// Sums over neighbours, densities and harmonics in blocks, so that numbers stay in registers.
#pragma once

#include "../moments.h"

namespace mhdnn::cpu {

/// Adds the products of `rows` densities and the harmonics of `count` neighbours, or their tangents, to the moments.
template <int count, int rows, class Real>
inline void add_products(
    int num_densities, int num_harmonics, const Real* densities, const Real* harmonics, Constant<Real>* moments) {
    Real density[rows][count];
    for (int n = 0; n < rows; ++n) {
        for (int j = 0; j < count; ++j) density[n][j] = densities[j * num_densities + n];
    }
    for (int i = 0; i < num_harmonics; ++i) {
        Real harmonic[count];
        for (int j = 0; j < count; ++j) harmonic[j] = harmonics[j * num_harmonics + i];
        for (int n = 0; n < rows; ++n) {
            Constant<Real> total = moments[n * num_harmonics + i];
            for (int j = 0; j < count; ++j) total = total + result(density[n][j] * harmonic[j]);
            moments[n * num_harmonics + i] = total;
        }
    }
}

/// Adds the products of densities and harmonics of `count` neighbours, or their tangents, to the moments.
template <int count, class Real>
inline void add_moments(
    int num_densities, int num_harmonics, const Real* densities, const Real* harmonics, Constant<Real>* moments) {
    constexpr int rows = has_tangent<Real> ? 2 : 4;  // as many as there are registers for
    int n = 0;
    for (; n + rows <= num_densities; n += rows) {
        add_products<count, rows>(num_densities, num_harmonics, densities + n, harmonics, moments + n * num_harmonics);
    }
    for (; n < num_densities; ++n) {
        add_products<count, 1>(num_densities, num_harmonics, densities + n, harmonics, moments + n * num_harmonics);
    }
}

/// `neighbor_gradient_in_blocks` of `count` densities; gradients by harmonics are added to those of the densities
/// before.
template <int neighbors, int count, class Real, class Gradient>
inline void add_gradient(
    int num_densities, int num_harmonics, const Gradient* gradient, const Real* density, const Real* harmonic,
    bool is_first, Real* by_harmonic, Real* by_density) {
    const Real zero = constant<Real>(Scalar<Real>(0));
    Real values[neighbors][count], totals[neighbors][count];
    for (int j = 0; j < neighbors; ++j) {
        for (int n = 0; n < count; ++n) {
            values[j][n] = density[j * num_densities + n];
            totals[j][n] = by_density[j * num_densities + n];
        }
    }
    for (int i = 0; i < num_harmonics; ++i) {
        Gradient by_moment[count];
        for (int n = 0; n < count; ++n) by_moment[n] = gradient[n * num_harmonics + i];
        for (int j = 0; j < neighbors; ++j) {
            Real total = is_first ? zero : by_harmonic[j * num_harmonics + i];
            const Real value = harmonic[j * num_harmonics + i];
            for (int n = 0; n < count; ++n) {
                total = total + by_moment[n] * values[j][n];
                totals[j][n] = totals[j][n] + by_moment[n] * value;
            }
            by_harmonic[j * num_harmonics + i] = total;
        }
    }
    for (int j = 0; j < neighbors; ++j) {
        for (int n = 0; n < count; ++n) by_density[j * num_densities + n] = totals[j][n];
    }
}

/// By each of some neighbours: gradients of sum gradient · moments by its harmonics (`by_harmonic`) and by its
/// densities (added to `by_density`). Gradient is Real, or the same without a tangent.
template <int neighbors, class Real, class Gradient>
inline void neighbor_gradient_in_blocks(
    int num_densities, int num_harmonics, const Gradient* gradient, const Real* density, const Real* harmonic,
    Real* by_harmonic, Real* by_density) {
    constexpr int block = 4;
    int n = 0;
    for (; n + block <= num_densities; n += block) {
        add_gradient<neighbors, block>(
            num_densities, num_harmonics, gradient + n * num_harmonics, density + n, harmonic, n == 0, by_harmonic,
            by_density + n);
    }
    for (; n < num_densities; ++n) {
        add_gradient<neighbors, 1>(
            num_densities, num_harmonics, gradient + n * num_harmonics, density + n, harmonic, n == 0, by_harmonic,
            by_density + n);
    }
}

}  // namespace mhdnn::cpu
