// How a structure is treated: by a dense matrix, or by neighbours and a mesh with iterations.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "charge_system.h"
#include "coulomb_matrix.h"
#include "neighbors.h"
#include "solver.h"

namespace mhdnn::electrostatics {

struct Assembly {
    std::unique_ptr<CoulombMatrix> matrix;
    // The solver for a hardness of all atoms, and a tolerance of iterations; it refers to the matrix.
    std::function<std::unique_ptr<Solver>(const std::vector<double>& hardness, double tolerance)> make_solver;
    bool iterative = false;
};

// The smearing is chosen if it is zero; the result doesn't depend on it. The processes must outlive the result.
Assembly assemble(
    const Box& box, const std::vector<double>& positions, const std::vector<double>& widths, double accuracy,
    SolverChoice choice, double smearing, NeighborSearch& search, const Processes& processes);

}  // namespace mhdnn::electrostatics
