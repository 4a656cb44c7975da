// How a structure is treated: assembly.py.
#pragma once

#include <memory>
#include <vector>

#include "charge_system.h"
#include "coulomb_matrix.h"
#include "solver.h"

namespace mhdnn::electrostatics {

struct Assembly {
    std::unique_ptr<CoulombMatrix> matrix;
    std::unique_ptr<Solver> solver;  // refers to the matrix
};

Assembly assemble(
    const Box& box, const std::vector<double>& positions, const std::vector<double>& widths,
    const std::vector<double>& hardness, double accuracy, SolverChoice choice, const Processes& processes);

}  // namespace mhdnn::electrostatics
