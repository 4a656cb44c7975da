// Cardinal B-splines, M_p(x) = x/(p-1) M_p-1(x) + (p-x)/(p-1) M_p-1(x-1): weights with which a charge is spread over
// the points of a mesh (U. Essmann et al., J. Chem. Phys. 103, 8577 (1995), https://doi.org/10.1063/1.470117), and the
// influence factor that belongs to them (V. Ballenegger, J. J. Cerdà, O. Lenz and C. Holm, J. Chem. Phys. 128, 034109
// (2008), https://doi.org/10.1063/1.2816570).
#pragma once

#include <cstdint>
#include <vector>

namespace mhdnn::electrostatics {

// M_p(t + j) = sum_k c_jk t^k for t in [0, 1): order rows of order numbers.
std::vector<double> spline_coefficients(int order);

// U²(m)/(sum_l U²(m + l size))² along one axis, in the order of the Fourier transform; U = sinc^order.
std::vector<double> influence_factor(std::int64_t size, int order);

// Wave numbers in the order of the Fourier transform.
inline std::int64_t wave_number(std::int64_t place, std::int64_t size) {
    return place < (size + 1) / 2 ? place : place - size;
}

}  // namespace mhdnn::electrostatics
