// Four-body functions: third-order invariants of the densities' moments.
//
//     coupled:  B_m3 = sum_m1,m2 G_m1,m2,m3 A_l1m1^n1 A_l2m2^n2       a row for each l1 <= l2 <= l3 and n1, n2
//     function: F^(n1 n2 n3) = sum_m3 B_m3 A_l3m3^n3
//
// with the real Gaunt coefficients G (couplings.h). Of densities whose degrees are equal only one order is taken:
// n1 <= n2 where l1 = l2, and n2 <= n3 where l2 = l3.
#pragma once

#include "channels.h"

namespace mhdnn {

/// Degrees l1 <= l2 <= l3 and where their rows and terms begin.
struct Coupling {
    int degree[3];
    int first_row, num_rows;
    int first_start;  // of the terms of m3 = -l3
};

/// A pair of densities whose moments are coupled to degree l3.
struct CoupledRow {
    int coupling, first, second;
    int first_third;     // lowest n3
    int first_function;  // which belongs to it
    int first_value;     // place of B
};

/// G and the components (l1, m1) and (l2, m2), which are l² + l + m.
struct CouplingTerm {
    double value;
    int first, second;
};

/// A term seen from one of its first two components: G, the other one, and m3 + l3.
struct CouplingUse {
    double value;
    int coupling, role, partner, place;
};

/// All degrees up to max_degree over the first num_densities densities; lists made by `FourBodyTables`.
struct FourBodyShape {
    int max_degree, num_densities, num_functions, num_couplings, num_rows, num_values;
    const Coupling* couplings;
    const CoupledRow* rows;
    const int* starts;  // of the terms of (coupling, m3)
    const CouplingTerm* terms;
    const int* use_starts;  // of the uses of a component
    const CouplingUse* uses;

    MHDNN_FUNCTION int row_of(const Coupling& coupling, int first, int second) const {
        const bool is_symmetric = coupling.degree[0] == coupling.degree[1];
        return coupling.first_row +
               (is_symmetric ? unordered_pair(first, second, num_densities) : first * num_densities + second);
    }
    MHDNN_FUNCTION int num_places(int row) const { return 2 * couplings[rows[row].coupling].degree[2] + 1; }
};

/// Moments A_lm^n, `stride` components for each density.
template <class Real>
struct Moments {
    const Real* values;
    int stride;

    MHDNN_FUNCTION Real operator()(int density, int component) const { return values[density * stride + component]; }
};

/// B of a row; place is m3 + l3.
template <class Real>
MHDNN_FUNCTION Real coupled_value(const FourBodyShape& shape, Moments<Real> moments, int row, int place) {
    using T = Scalar<Real>;
    const CoupledRow& r = shape.rows[row];
    const int* start = shape.starts + shape.couplings[r.coupling].first_start + place;
    Real total = constant<Real>(T(0));
    for (int i = start[0]; i < start[1]; ++i) {
        const CouplingTerm& term = shape.terms[i];
        total = total + moments(r.first, term.first) * moments(r.second, term.second) * T(term.value);
    }
    return total;
}

/// The function of a row and a third density.
template <class Real>
MHDNN_FUNCTION Real
four_body_function(const FourBodyShape& shape, Moments<Real> moments, const Real* coupled, int row, int third) {
    const int degree = shape.couplings[shape.rows[row].coupling].degree[2];
    const Real* values = coupled + shape.rows[row].first_value;
    Real total = constant<Real>(Scalar<Real>(0));
    for (int place = 0; place < 2 * degree + 1; ++place) {
        total = total + values[place] * moments(third, degree * degree + place);
    }
    return total;
}

/// Gradient of sum cotangent · functions by B; the cotangent begins with the first four-body function.
template <class Real>
MHDNN_FUNCTION Real coupled_gradient(
    const FourBodyShape& shape, Moments<Real> moments, const Constant<Real>* cotangent, int row, int place) {
    const CoupledRow& r = shape.rows[row];
    const int degree = shape.couplings[r.coupling].degree[2];
    Real total = constant<Real>(Scalar<Real>(0));
    for (int third = r.first_third; third < shape.num_densities; ++third) {
        total = total + moments(third, degree * degree + place) * cotangent[r.first_function + third - r.first_third];
    }
    return total;
}

/// Gradient by the moment (density, component of degree l) from B and the gradients by it.
template <class Real>
MHDNN_FUNCTION Real four_body_gradient(
    const FourBodyShape& shape, Moments<Real> moments, const Real* coupled, const Real* by_coupled,
    const Constant<Real>* cotangent, int density, int component, int l) {
    using T = Scalar<Real>;
    Real total = constant<Real>(T(0));
    for (int c = 0; c < shape.num_couplings; ++c) {
        const Coupling& coupling = shape.couplings[c];
        if (coupling.degree[2] != l) continue;
        for (int row = coupling.first_row; row < coupling.first_row + coupling.num_rows; ++row) {
            const CoupledRow& r = shape.rows[row];
            if (density < r.first_third) continue;
            total = total +
                    coupled[r.first_value + component - l * l] * cotangent[r.first_function + density - r.first_third];
        }
    }
    for (int i = shape.use_starts[component]; i < shape.use_starts[component + 1]; ++i) {
        const CouplingUse& use = shape.uses[i];
        const Coupling& coupling = shape.couplings[use.coupling];
        const bool is_symmetric = coupling.degree[0] == coupling.degree[1];
        Real sum = constant<Real>(T(0));
        for (int partner = 0; partner < shape.num_densities; ++partner) {
            const int first = use.role == 0 ? density : partner, second = use.role == 0 ? partner : density;
            if (is_symmetric && first > second) continue;
            const int value = shape.rows[shape.row_of(coupling, first, second)].first_value;
            sum = sum + by_coupled[value + use.place] * moments(partner, use.partner);
        }
        total = total + sum * T(use.value);
    }
    return total;
}

}  // namespace mhdnn
