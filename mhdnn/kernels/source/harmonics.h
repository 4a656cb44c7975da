// Real spherical harmonics Y_lm(u), Racah-normalised: sum_m Y_lm(u) Y_lm(v) = P_l(u·v).
//
// With (x + iy)^m = c_m + i s_m,  Y_lm = q_l^m(z) c_m  and  Y_l,-m = q_l^m(z) s_m,  where
//     q_l^m = N_lm d^m P_l(z) / dz^m,   N_lm² = (2 - δ_m0) (l - m)! / (l + m)!
//     q_l^m = a_lm z q_{l-1}^m - b_lm q_{l-2}^m          (l > m)
//     dq_l^m/dz = d_lm q_l^{m+1}
// x, y, z enter as independent variables; the projection onto the sphere comes afterwards
// (gradient_by_vector), so no angles and no poles.
#pragma once

#include "real.h"

namespace mhdnn {

constexpr int max_degree_limit = 20;

/// Place of (l, m >= 0) in a triangular table.
MHDNN_FUNCTION constexpr int triangle_index(int l, int m) { return l * (l + 1) / 2 + m; }
MHDNN_FUNCTION constexpr int triangle_size(int max_degree) { return triangle_index(max_degree + 1, 0); }

/// Recurrence coefficients of one (l, m): a, b and d of the formulas above; q_m^m stands in a.
template <class T>
struct HarmonicCoefficient {
    T a, b, d;
};

template <class T>
MHDNN_FUNCTION HarmonicCoefficient<T> harmonic_coefficient(int l, int m) {
    HarmonicCoefficient<T> result{T(0), T(0), T(0)};
    if (l > m) {
        const double difference = double(l) * l - double(m) * m;
        result.a = T((2 * l - 1) / ::sqrt(difference));
        result.b = T(::sqrt((double(l - 1) * (l - 1) - double(m) * m) / difference));
        result.d = T(::sqrt(double(l - m) * (l + m + 1) * (m == 0 ? 0.5 : 1.0)));
    } else {
        double highest = 1.0;  // q_m^m = N_mm (2m - 1)!!
        for (int k = 1; k <= m; ++k) highest *= ::sqrt((2.0 * k - 1.0) / (2.0 * k) * (k == 1 ? 2.0 : 1.0));
        result.a = T(highest);
    }
    return result;
}

/// Polynomials of a direction: q_l^m (triangular), c_m and s_m.
template <class Real>
struct HarmonicFactors {
    Real* q;
    Real* cosine;
    Real* sine;
};

template <class Real, class T>
MHDNN_FUNCTION void harmonic_factors(
    const HarmonicCoefficient<T>* table, int max_degree, Real x, Real y, Real z, HarmonicFactors<Real> f) {
    f.cosine[0] = constant<Real>(T(1));
    f.sine[0] = constant<Real>(T(0));
    MHDNN_UNROLL
    for (int m = 1; m <= max_degree; ++m) {
        f.cosine[m] = x * f.cosine[m - 1] - y * f.sine[m - 1];
        f.sine[m] = x * f.sine[m - 1] + y * f.cosine[m - 1];
    }
    MHDNN_UNROLL
    for (int l = 0; l <= max_degree; ++l) {
        f.q[triangle_index(l, l)] = constant<Real>(table[triangle_index(l, l)].a);
        MHDNN_UNROLL
        for (int m = 0; m < l; ++m) {
            const HarmonicCoefficient<T> k = table[triangle_index(l, m)];
            Real value = z * f.q[triangle_index(l - 1, m)] * k.a;
            if (m < l - 1) value = value - f.q[triangle_index(l - 2, m)] * k.b;
            f.q[triangle_index(l, m)] = value;
        }
    }
}

/// Y_lm in the order l, m = -l..l from their factors.
template <class Real>
MHDNN_FUNCTION void harmonics(int max_degree, HarmonicFactors<Real> f, Real* values) {
    MHDNN_UNROLL
    for (int l = 0; l <= max_degree; ++l) {
        Real* center = values + l * (l + 1);
        center[0] = f.q[triangle_index(l, 0)];
        MHDNN_UNROLL
        for (int m = 1; m <= l; ++m) {
            center[m] = f.q[triangle_index(l, m)] * f.cosine[m];
            center[-m] = f.q[triangle_index(l, m)] * f.sine[m];
        }
    }
}

/// Sum over l, m of weight_lm times the gradient of Y_lm by x, y, z.
template <class Real, class T>
MHDNN_FUNCTION void harmonics_gradient(
    const HarmonicCoefficient<T>* table, int max_degree, HarmonicFactors<Real> f, const Real* weight, Real& by_x,
    Real& by_y, Real& by_z) {
    by_x = by_y = by_z = constant<Real>(T(0));
    MHDNN_UNROLL
    for (int m = 0; m <= max_degree; ++m) {
        Real by_cosine = constant<Real>(T(0)), by_sine = constant<Real>(T(0));
        MHDNN_UNROLL
        for (int l = m; l <= max_degree; ++l) {
            const Real* center = weight + l * (l + 1);
            const Real q = f.q[triangle_index(l, m)];
            Real along = center[0];
            if (m > 0) {
                by_cosine = by_cosine + q * center[m];
                by_sine = by_sine + q * center[-m];
                along = f.cosine[m] * center[m] + f.sine[m] * center[-m];
            }
            if (l > m) by_z = by_z + along * f.q[triangle_index(l, m + 1)] * table[triangle_index(l, m)].d;
        }
        if (m > 0) {
            by_x = by_x + (by_cosine * f.cosine[m - 1] + by_sine * f.sine[m - 1]) * T(m);
            by_y = by_y + (by_sine * f.cosine[m - 1] - by_cosine * f.sine[m - 1]) * T(m);
        }
    }
}

}  // namespace mhdnn
