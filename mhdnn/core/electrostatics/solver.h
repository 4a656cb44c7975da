// Solves (A + J) x + µ = b at a given sum of x.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace mhdnn::electrostatics {

class Solver {
public:
    virtual ~Solver() = default;
    // x of all atoms, from a right side of all; the start is a guess of it, or null. A norm of the residual that is
    // sufficient in any case ends iterations also where it isn't small against the right side.
    virtual std::vector<double> solve(
        const std::vector<double>& right_side_all, double total, const double* start_all, double sufficient = 0.0) = 0;
    // A x of all atoms for the last solution x; null if it isn't known.
    virtual const std::vector<double>* product() const { return nullptr; }
    virtual int iterations() const { return 0; }
    // Norm of the residual that the last solution was asked for; 0 of a solver without iterations.
    virtual double target() const { return 0.0; }
};

// The error of a matrix without a minimum of the energy.
inline std::runtime_error indefinite(const std::string& what) {
    return std::runtime_error(
        "hardness: expected a positive definite Coulomb matrix plus hardness, got an indefinite or singular one for " +
        what + "; look for atoms at the same place and for a hardness that is too small");
}

}  // namespace mhdnn::electrostatics
