// Coulomb interaction of Gaussian charges: formulas in electrostatics/gaussians.py.
#pragma once

#include <cmath>
#include <cstdint>

namespace mhdnn::electrostatics {

// γ of a pair, from the widths of its atoms.
inline double width_of_pair(double first, double second) { return std::sqrt(first * first + second * second); }

// k_e [φ(u, γ) - φ(u, η)] with φ = erf(√u/√2γ)/√u, and its derivative by u = r²; without the second term if
// the smearing η is zero.
void pair_values(
    std::int64_t count, const double* squared, const double* widths, double smearing, double* values, double* slopes);

// The same at r = 0, with γ = √2 s.
double self_value(double width, double smearing);

}  // namespace mhdnn::electrostatics
