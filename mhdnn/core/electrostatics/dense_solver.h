// Charge equilibration by a dense factorisation: Cholesky factors of A + J, and the response to a potential of one.
//
// The Coulomb matrix of a slab is positive definite only for charges that add up to zero; adding a constant to all its
// elements, which does not change charges at a given sum, makes it positive definite for all.
#pragma once

#include <vector>

#include "charge_system.h"
#include "dense_matrix.h"
#include "solver.h"

namespace mhdnn::electrostatics {

// By Cholesky factors, every process for itself.
class DenseSolver : public Solver {
public:
    // The matrix is A plus a constant that makes it positive definite; its lower triangle is used.
    DenseSolver(DenseMatrix matrix, const std::vector<double>& hardness, const Processes& processes);

    std::vector<double> solve(
        const std::vector<double>& right_side_all, double total, const double* start_all, double sufficient) override;

private:
    DenseMatrix factor_;
    std::vector<double> response_;  // to a potential of one for all atoms
};

}  // namespace mhdnn::electrostatics
