#include "preconditioner.h"

#include <algorithm>
#include <cmath>

namespace mhdnn::electrostatics {

// Woodbury's formula with a uniform density c of 1/D: 1/D - 1/D W G/(1 + c G) W^T 1/D.
MeshPreconditioner::MeshPreconditioner(
    const Matrix3& cell, const std::vector<double>& positions, double smearing, const std::vector<double>& diagonal)
    : mesh_(
          cell, mesh_shape(cell, coarsening * smearing, preconditioner_resolution), preconditioner_resolution.order,
          positions),
      inverse_(diagonal.size()), kernel_(num_waves(mesh_.shape())) {
    for (std::size_t atom = 0; atom < diagonal.size(); ++atom) inverse_[atom] = 1.0 / diagonal[atom];
    const Green green(cell, mesh_.shape(), coarsening * smearing);
    const double density = largest_density(green, coarsening * smearing);
    const Influence influence(mesh_.shape(), preconditioner_resolution.order);
    for_each_wave(mesh_.shape(), [&](std::int64_t wave, const WavePlace& place) {
        const Vector3 k = green.wave_vector(place);
        const double value = green.at(dot(k, k)).value;
        kernel_[wave] = influence.at(place) * value / (1.0 + density * value);
    });
}

// Largest density of 1/D, smeared by twice the smearing, times the volume, e²/eV.
double MeshPreconditioner::largest_density(const Green& green, double smearing) const {
    std::vector<double> smear(kernel_.size());
    for_each_wave(mesh_.shape(), [&](std::int64_t wave, const WavePlace& place) {
        const Vector3 k = green.wave_vector(place);
        smear[wave] = std::exp(-2.0 * smearing * smearing * dot(k, k));
    });
    auto density = mesh_.spread(inverse_);
    convolve(mesh_.shape(), smear, density);
    return *std::max_element(density.begin(), density.end());
}

std::vector<double> MeshPreconditioner::operator()(const std::vector<double>& residual) const {
    std::vector<double> result(residual.size());
    for (std::size_t atom = 0; atom < residual.size(); ++atom) result[atom] = inverse_[atom] * residual[atom];
    auto mesh = mesh_.spread(result);
    convolve(mesh_.shape(), kernel_, mesh);
    const auto long_waves = mesh_.interpolate(mesh, {0, static_cast<std::int64_t>(residual.size())});
    for (std::size_t atom = 0; atom < residual.size(); ++atom) result[atom] -= inverse_[atom] * long_waves[atom];
    return result;
}

}  // namespace mhdnn::electrostatics
