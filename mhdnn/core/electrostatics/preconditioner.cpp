#include "preconditioner.h"

#include <algorithm>
#include <cmath>

namespace mhdnn::electrostatics {

// Woodbury's formula with a uniform density c of 1/D: 1/D - 1/D W G/(1 + c G) W^T 1/D.
MeshPreconditioner::MeshPreconditioner(
    const Matrix3& cell, const std::vector<double>& positions, double smearing, const std::vector<double>& diagonal)
    : mesh_(
          cell, MeshPart(mesh_shape(cell, coarsening * smearing, preconditioner_resolution)),
          preconditioner_resolution.order, positions),
      inverse_(diagonal.size()), kernel_(mesh_.part().num_waves()) {
    for (std::size_t atom = 0; atom < diagonal.size(); ++atom) inverse_[atom] = 1.0 / diagonal[atom];
    const MeshShape& shape = mesh_.part().shape();
    const Green green(cell, shape, coarsening * smearing);
    const double density = largest_density(green, coarsening * smearing);
    const Influence influence(shape, preconditioner_resolution.order);
    mesh_.part().for_each_wave([&](std::int64_t wave, const WavePlace& place) {
        const Vector3 k = green.wave_vector(place);
        const double value = green.at(dot(k, k)).value;
        kernel_[wave] = influence.at(place) * value / (1.0 + density * value);
    });
}

// Largest density of 1/D, smeared by twice the smearing, times the volume, e²/eV.
double MeshPreconditioner::largest_density(const Green& green, double smearing) const {
    Buffer<double> smear(kernel_.size());
    mesh_.part().for_each_wave([&](std::int64_t wave, const WavePlace& place) {
        const Vector3 k = green.wave_vector(place);
        smear[wave] = std::exp(-2.0 * smearing * smearing * dot(k, k));
    });
    const auto density = convolved(mesh_.part(), smear, mesh_.spread(inverse_));
    return *std::max_element(density.data(), density.data() + density.size());
}

std::vector<double> MeshPreconditioner::operator()(const std::vector<double>& residual) const {
    std::vector<double> result(residual.size());
    for (std::size_t atom = 0; atom < residual.size(); ++atom) result[atom] = inverse_[atom] * residual[atom];
    std::vector<double> long_waves(residual.size(), 0.0);
    mesh_.interpolate(convolved(mesh_.part(), kernel_, mesh_.spread(result)), long_waves.data());
    for (std::size_t atom = 0; atom < residual.size(); ++atom) result[atom] -= inverse_[atom] * long_waves[atom];
    return result;
}

}  // namespace mhdnn::electrostatics
