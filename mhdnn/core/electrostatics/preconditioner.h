// Long waves of charge on a coarse mesh: preconditioner.py.
#pragma once

#include <vector>

#include "charge_system.h"
#include "mesh.h"

namespace mhdnn::electrostatics {

class MeshPreconditioner {
public:
    // smearing: η of the Ewald sum. diagonal: D > 0 of own atoms, eV/e².
    MeshPreconditioner(
        const Matrix3& cell, const std::vector<double>& positions, double smearing,
        const std::vector<double>& diagonal_local, const Processes& processes);

    // Approximate inverse of A + J times a residual; own atoms.
    std::vector<double> operator()(const std::vector<double>& residual) const;

private:
    double largest_density(const Green& green, double smearing) const;

    const Processes& processes_;
    Mesh mesh_;
    std::vector<double> inverse_;  // of the diagonal
    std::vector<double> kernel_;
};

}  // namespace mhdnn::electrostatics
