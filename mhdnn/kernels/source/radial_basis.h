// Distance and direction of a neighbour, the cutoff function and the radial functions.
#pragma once

#include "real.h"

namespace mhdnn {

enum class CutoffFunction {
    cosine,
    polynomial,
    tanh,
    hard,
    tanh_unscaled,
    exponential,
    polynomial3,
    polynomial7,
    polynomial9
};

/// Radial functions g_n(r) = exp(-eta_n (r - shift_n)^2) f_c(r).
template <class T>
struct RadialBasis {
    const T* etas;    // 1/Å²
    const T* shifts;  // Å
    int num_radial;
    T cutoff;  // Å
    CutoffFunction cutoff_function;
    T inner_fraction = T(0);  // of the cutoff, up to which f_c is one

    /// Those from `first` on.
    MHDNN_FUNCTION RadialBasis part(int first, int number) const {
        return {etas + first, shifts + first, number, cutoff, cutoff_function, inner_fraction};
    }
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

/// tanh³(y) and its derivative.
template <class Real>
MHDNN_FUNCTION void cubed_tangent(Real y, Scalar<Real> scale, Real& value, Real& slope) {
    using T = Scalar<Real>;
    const Real decay = exponential(y * T(-2));
    const Real hyperbolic = (T(1) - decay) * inverse(decay + T(1));
    const Real square = hyperbolic * hyperbolic;
    value = square * hyperbolic * scale;
    slope = square * (T(1) - square) * (T(3) * scale);
}

/// What rises from 0 at y = 0 to 1 at y = 1, and its derivative, for 0 <= y <= 1; x = 1 - y:
///
///     cosine         sin²(πy/2)                          = [1 + cos(πx)]/2
///     polynomial3    3y² - 2y³
///     polynomial     10y³ - 15y⁴ + 6y⁵                   = 1 - 10x³ + 15x⁴ - 6x⁵
///     polynomial7    35y⁴ - 84y⁵ + 70y⁶ - 20y⁷
///     polynomial9    126y⁵ - 420y⁶ + 540y⁷ - 315y⁸ + 70y⁹
///     exponential    exp(1 - 1/(1 - x²))
///     tanh           tanh³(y) / tanh³(1)
///     tanh_unscaled  tanh³(y)
///     hard           1 for y > 0
template <class Real>
MHDNN_FUNCTION void switching_value(CutoffFunction kind, Real y, Real& value, Real& slope) {
    using T = Scalar<Real>;
    const Real x = T(1) - y;
    if (kind == CutoffFunction::cosine) {
        const T pi = T(3.14159265358979323846);
        Real sine, cosine;
        sine_cosine(y * (T(0.5) * pi), sine, cosine);
        value = sine * sine;
        slope = sine * cosine * pi;
    } else if (kind == CutoffFunction::polynomial) {
        value = y * y * y * (T(10) + y * (y * T(6) - T(15)));
        slope = y * y * x * x * T(30);
    } else if (kind == CutoffFunction::polynomial3) {
        value = y * y * (T(3) - y * T(2));
        slope = y * x * T(6);
    } else if (kind == CutoffFunction::polynomial7) {
        const Real square = y * y;
        value = square * square * (T(35) + y * (y * (T(70) - y * T(20)) - T(84)));
        slope = square * y * x * x * x * T(140);
    } else if (kind == CutoffFunction::polynomial9) {
        const Real square = y * y;
        value = square * square * y * (T(126) + y * (y * (T(540) + y * (y * T(70) - T(315))) - T(420)));
        slope = square * square * x * x * x * x * T(630);
    } else if (kind == CutoffFunction::exponential) {
        const T least = sizeof(T) == 4 ? T(1e-2) : T(1e-3);  // below, the function is zero to the last digit
        const Real product = at_least(y, least) * (x + T(1)), reciprocal = inverse(product);
        value = zero_where_below(exponential(T(1) - reciprocal), y, least);
        slope = value * x * reciprocal * reciprocal * T(2);
    } else if (kind == CutoffFunction::hard) {
        const T least = sizeof(T) == 4 ? T(1e-6) : T(1e-14);  // rounding at the cutoff itself
        value = zero_where_below(constant<Real>(T(1)), y, least);
        slope = constant<Real>(T(0));
    } else {
        const T scale = kind == CutoffFunction::tanh ? T(2.2637537952253513) : T(1);  // 1 / tanh³(1)
        cubed_tangent(y, scale, value, slope);
    }
}

/// f_c and its derivative: `switching_value` of y = (1 - r/r_c)/(1 - inner fraction), limited to 0 and 1.
template <class Real, class T>
MHDNN_FUNCTION void cutoff_value(const RadialBasis<T>& basis, Real distance, Real& value, Real& slope) {
    const T inverse_cutoff = T(1) / basis.cutoff, inverse_length = inverse_cutoff / (T(1) - basis.inner_fraction);
    Real y = at_least(T(1) - distance * inverse_cutoff, T(0));
    if (basis.inner_fraction > T(0)) y = -at_least(-(y * (T(1) / (T(1) - basis.inner_fraction))), T(-1));
    Real slope_by_y;
    switching_value(basis.cutoff_function, y, value, slope_by_y);
    slope = slope_by_y * (-inverse_length);
}

/// exp(-eta_n (r - shift_n)²) and its derivative by r.
template <class Real, class T>
MHDNN_FUNCTION void gaussian(const RadialBasis<T>& basis, int n, Real distance, Real& value, Real& slope) {
    const Real offset = distance - basis.shifts[n];
    value = exponential(offset * offset * (-basis.etas[n]));
    slope = offset * value * (T(-2) * basis.etas[n]);
}

/// g_n(r) of n = first ... end - 1 and, where they are wanted, their derivatives by r, from f_c and its derivative.
template <class Real, class T>
MHDNN_FUNCTION void radial_values_between(
    const RadialBasis<T>& basis, int first, int end, Real distance, Real cutoff, Real cutoff_slope, Real* values,
    Real* slopes) {
    for (int n = first; n < end; ++n) {
        Real value, slope;
        gaussian(basis, n, distance, value, slope);
        values[n] = value * cutoff;
        if (slopes != nullptr) slopes[n] = slope * cutoff + value * cutoff_slope;
    }
}

/// All g_n(r) of a neighbour and, where they are wanted, their derivatives by r.
template <class Real, class T>
MHDNN_FUNCTION void radial_values(const RadialBasis<T>& basis, Real distance, Real* values, Real* slopes = nullptr) {
    Real cutoff, cutoff_slope;
    cutoff_value(basis, distance, cutoff, cutoff_slope);
    radial_values_between(basis, 0, basis.num_radial, distance, cutoff, cutoff_slope, values, slopes);
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
