// Distance and direction of a neighbour, the cutoff function and the radial functions.
#pragma once

#include "real.h"

namespace mhdnn {

enum class CutoffFunction { cosine, polynomial, tanh };

/// Radial functions g_n(r) = exp(-eta_n (r - shift_n)^2) f_c(r).
template <class T>
struct RadialBasis {
    const T* etas;    // 1/Å²
    const T* shifts;  // Å
    int num_radial;
    T cutoff;  // Å
    CutoffFunction cutoff_function;
};

/// Unit vector u, length r and 1/r of a pair vector.
template <class Real>
struct Direction {
    Real x, y, z, distance, inverse_distance;
};

template <class Real>
MHDNN_FUNCTION Direction<Real> direction_of(Real x, Real y, Real z) {
    const Real distance = square_root(x * x + y * y + z * z);
    const Real inverse_distance = inverse(distance);
    return {x * inverse_distance, y * inverse_distance, z * inverse_distance, distance, inverse_distance};
}

/// f_c and its derivative, from y = max(0, 1 - r/r_c): f_c(y = 1) = 1, f_c(0) = 0.
///
///     cosine      sin²(πy/2)                  = [1 + cos(πr/r_c)]/2
///     polynomial  10y³ - 15y⁴ + 6y⁵           = 1 - 10x³ + 15x⁴ - 6x⁵, x = r/r_c
///     tanh        tanh³(y) / tanh³(1)
template <class Real, class T>
MHDNN_FUNCTION void cutoff_value(const RadialBasis<T>& basis, Real distance, Real& value, Real& slope) {
    const T inverse_cutoff = T(1) / basis.cutoff;
    const Real y = at_least(T(1) - distance * inverse_cutoff, T(0));
    Real slope_by_y;
    if (basis.cutoff_function == CutoffFunction::cosine) {
        const T pi = T(3.14159265358979323846);
        Real sine, cosine;
        sine_cosine(y * (T(0.5) * pi), sine, cosine);
        value = sine * sine;
        slope_by_y = sine * cosine * pi;
    } else if (basis.cutoff_function == CutoffFunction::polynomial) {
        value = y * y * y * (T(10) + y * (y * T(6) - T(15)));
        slope_by_y = y * y * (y - T(1)) * (y - T(1)) * T(30);
    } else {
        const T scale = T(2.2637537952253513);  // 1 / tanh³(1)
        const Real decay = exponential(y * T(-2));
        const Real hyperbolic = (T(1) - decay) * inverse(decay + T(1));
        const Real square = hyperbolic * hyperbolic;
        value = square * hyperbolic * scale;
        slope_by_y = square * (T(1) - square) * (T(3) * scale);
    }
    slope = slope_by_y * (-inverse_cutoff);
}

/// exp(-eta_n (r - shift_n)²) and its derivative by r.
template <class Real, class T>
MHDNN_FUNCTION void gaussian(const RadialBasis<T>& basis, int n, Real distance, Real& value, Real& slope) {
    const Real offset = distance - basis.shifts[n];
    value = exponential(offset * offset * (-basis.etas[n]));
    slope = offset * value * (T(-2) * basis.etas[n]);
}

/// All g_n(r) of a neighbour and, where they are wanted, their derivatives by r.
template <class Real, class T>
MHDNN_FUNCTION void radial_values(
    const RadialBasis<T>& basis, Real distance, Real* values, Real* slopes = nullptr) {
    Real cutoff, cutoff_slope;
    cutoff_value(basis, distance, cutoff, cutoff_slope);
    for (int n = 0; n < basis.num_radial; ++n) {
        Real value, slope;
        gaussian(basis, n, distance, value, slope);
        values[n] = value * cutoff;
        if (slopes != nullptr) slopes[n] = slope * cutoff + value * cutoff_slope;
    }
}

/// Gradient by the pair vector, from the gradients by the distance and by the unit vector.
template <class Real>
MHDNN_FUNCTION void gradient_by_vector(
    const Direction<Real>& u, Real by_distance, Real by_x, Real by_y, Real by_z, Real& x, Real& y, Real& z) {
    const Real along = by_distance - (by_x * u.x + by_y * u.y + by_z * u.z) * u.inverse_distance;
    x = by_x * u.inverse_distance + u.x * along;
    y = by_y * u.inverse_distance + u.y * along;
    z = by_z * u.inverse_distance + u.z * along;
}

}  // namespace mhdnn
