// Preconditioner: the long waves of charge, which a diagonal leaves out, on a coarse mesh.
//
// Long waves cost most energy and make up the large eigenvalues of A, the more the larger the structure. With a
// diagonal D of local terms and the smooth part W G Wᵀ of A on a mesh, Woodbury's formula gives
//
//     (D + W G Wᵀ)⁻¹ = 1/D - 1/D W (1/G + Wᵀ 1/D W)⁻¹ Wᵀ 1/D ≈ 1/D - 1/D W G/(1 + cG) Wᵀ 1/D,
//
// where c = V Σ_i δ(r - r_i)/D_i of a uniform density stands for Wᵀ 1/D W. With the largest value of the density,
// smeared by 2η, what remains is positive definite also where the density is not uniform (surfaces, clusters, pores).
// For an open structure, too, G is the periodic Green's function, of the box in which images are far: it is nowhere
// negative.
#pragma once

#include <vector>

#include "mesh.h"

namespace mhdnn::electrostatics {

class MeshPreconditioner {
public:
    // smearing: η of the Ewald sum. diagonal: D > 0, eV/e².
    MeshPreconditioner(
        const Matrix3& cell, const std::vector<double>& positions, double smearing,
        const std::vector<double>& diagonal);

    // Approximate inverse of A + J times a residual.
    std::vector<double> operator()(const std::vector<double>& residual) const;

private:
    double largest_density(const Green& green, double smearing) const;

    Mesh mesh_;
    std::vector<double> inverse_;  // of the diagonal
    Buffer<double> kernel_;
};

}  // namespace mhdnn::electrostatics
