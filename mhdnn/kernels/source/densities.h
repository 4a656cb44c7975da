// Densities of neighbours whose radial functions are mixed by coefficients of the centre's and the neighbour's
// element, so that their number and cost don't depend on how many elements there are.
//
//     g_n^ab(r) = sum_k c_nk^ab f_k(r),   f_k(r) = exp(-eta_k (r - shift_k)²) f_c(r)
//     A_lm^n    = sum_j g_n^(Z_i Z_j)(r_ij) Y_lm(u_ij)
//
// Coefficients are an array (centre, neighbour, n, k), moments an array (atom, n, l² + l + m).
#pragma once

#include "radial_basis.h"

namespace mhdnn {

struct DensityShape {
    int num_elements, num_densities, num_radial, max_degree;

    MHDNN_FUNCTION int num_harmonics() const { return (max_degree + 1) * (max_degree + 1); }
    MHDNN_FUNCTION int num_moments() const { return num_densities * num_harmonics(); }
    /// Coefficients of a pair of elements, and of all.
    MHDNN_FUNCTION int block() const { return num_densities * num_radial; }
    MHDNN_FUNCTION int num_coefficients() const { return num_elements * num_elements * block(); }
};

}  // namespace mhdnn
