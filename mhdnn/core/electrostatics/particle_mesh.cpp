#include "particle_mesh.h"

#include <algorithm>
#include <cmath>

namespace mhdnn::electrostatics {
namespace {

// Derivative of the kernel by strain: volumes grow by the trace, k² by -2 k ε k.
double strain_derivative(double value, double slope, const Vector3& k, int component) {
    const int row = voigt_row[component], column = voigt_column[component];
    return (row == column ? -value : 0.0) - 2.0 * k[row] * k[column] * slope;
}

// The Gaussian leaves nothing to speak of beyond the reciprocal cutoff. So many waves of each axis reach it for the
// largest spacing; that they don't depend on the cell otherwise keeps the energy smooth.
MeshShape highest_waves(const MeshShape& shape, const Splitting& splitting, const MeshResolution& resolution) {
    const double share = resolution.spacing * splitting.smearing * splitting.reciprocal_cutoff / pi;
    MeshShape result;
    for (int axis = 0; axis < 3; ++axis)
        result[axis] = static_cast<std::int64_t>(std::ceil(0.5 * static_cast<double>(shape[axis]) * share));
    return result;
}

MeshPart part_of(
    const Matrix3& cell, const Splitting& splitting, const MeshResolution& resolution, const Processes& processes) {
    const MeshShape shape = mesh_shape(cell, splitting.smearing, resolution);
    return {shape, highest_waves(shape, splitting, resolution), processes};
}

}  // namespace

ParticleMesh::ParticleMesh(
    const Matrix3& cell, const std::vector<double>& positions, const Splitting& splitting,
    const MeshResolution& resolution, const std::optional<OpenBox>& box, const Processes& processes)
    : processes_(processes), green_(cell, mesh_shape(cell, splitting.smearing, resolution), splitting.smearing),
      mesh_(cell, part_of(cell, splitting, resolution, processes), resolution.order, positions),
      influence_(part().shape(), resolution.order), kernel_(part().num_waves()), slopes_(box ? 0 : part().num_waves()) {
    if (!box) {
        set_periodic_kernel();
        return;
    }
    open_.emplace(*box, part(), splitting.smearing);
    const auto values = open_->values();
    part().for_each_wave(
        [&](std::int64_t wave, const WavePlace& place) { kernel_[wave] = values[wave] * influence_.at(place); });
}

void ParticleMesh::set_periodic_kernel() {
    part().for_each_wave([&](std::int64_t wave, const WavePlace& place) {
        const Vector3 k = green_.wave_vector(place);
        const GreenValue green = green_.at(dot(k, k));
        kernel_[wave] = influence_.at(place) * green.value;
        slopes_[wave] = influence_.at(place) * green.slope;
    });
}

Buffer<double> ParticleMesh::strain_kernel(int component) const {
    Buffer<double> result = open_ ? open_->strain_derivatives(component) : Buffer<double>(part().num_waves());
    part().for_each_wave([&](std::int64_t wave, const WavePlace& place) {
        if (open_)
            result[wave] *= influence_.at(place);
        else
            result[wave] = strain_derivative(kernel_[wave], slopes_[wave], green_.wave_vector(place), component);
    });
    return result;
}

void ParticleMesh::add_product(const std::vector<double>& q, double* result) const {
    mesh_.interpolate(convolved(part(), kernel_, mesh_.spread(q)), result);
}

Buffer<double> ParticleMesh::potential(const Spectrum& charges) const {
    return transformed_back(part(), product(charges, kernel_));
}

std::vector<double> ParticleMesh::own(const double* all, int width) const {
    const double* const first = all + width * processes_.first;
    return {first, first + width * processes_.num_local};
}

SmoothDerivatives ParticleMesh::derivatives(
    const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const {
    const auto count = static_cast<std::int64_t>(p.size());
    const Spectrum p_waves = transformed(part(), mesh_.spread(p)), q_waves = transformed(part(), mesh_.spread(q));
    const auto field_q = mesh_.gradients(potential(q_waves)), field_p = mesh_.gradients(potential(p_waves));
    // what processes add up: of all atoms the gradient, of all together the strain, of all atoms their strain
    std::vector<double> shares((per_atom ? 9 : 3) * count + 6, 0.0);
    double *const together = shares.data() + 3 * count, *const strain_per_atom = together + 6;
    for (std::int64_t atom = 0; atom < count; ++atom)
        for (int axis = 0; axis < 3; ++axis) {
            const std::int64_t place = 3 * atom + axis;
            shares[place] = p[atom] * field_q[place] + q[atom] * field_p[place];
        }
    // atoms of an open structure move without the box: the strain follows from the positions
    const Voigt own_strain = open_ ? Voigt{} : strain(p_waves, q_waves);
    std::copy(own_strain.begin(), own_strain.end(), together);
    if (per_atom) {
        add_strain_per_atom(p, q_waves, strain_per_atom);
        add_strain_per_atom(q, p_waves, strain_per_atom);
    }
    processes_.sum(shares.data(), static_cast<std::int64_t>(shares.size()));
    SmoothDerivatives result{own(shares.data(), 3), {}, {}};
    std::copy_n(together, 6, result.strain.begin());
    if (per_atom) result.strain_per_atom = own(strain_per_atom, 6);
    return result;
}

// With weights W and kernel K the smooth part is W K Wᵀ.
void ParticleMesh::add_moved_product(const Motion& motion, const std::vector<double>& q, double* result) const {
    const Spectrum charges = transformed(part(), mesh_.spread(q));
    const auto field = mesh_.gradients(potential(charges));
    Spectrum waves = product(transformed(part(), mesh_.spread_moved(q, motion.displacements)), kernel_);
    if (!open_)
        part().for_each_wave([&](std::int64_t wave, const WavePlace& place) {
            const Vector3 k = green_.wave_vector(place);
            const double change = -motion.trace() * kernel_[wave] -
                                  2.0 * dot(k, electrostatics::multiply(k, motion.strain)) * slopes_[wave];
            waves.real[wave] += change * charges.real[wave];
            waves.imaginary[wave] += change * charges.imaginary[wave];
        });
    std::vector<double> values(q.size(), 0.0);
    mesh_.interpolate(transformed_back(part(), std::move(waves)), values.data());
    for (std::size_t atom = 0; atom < values.size(); ++atom) {
        const Vector3 d = motion.displacement(static_cast<std::int64_t>(atom));
        values[atom] += d[0] * field[3 * atom] + d[1] * field[3 * atom + 1] + d[2] * field[3 * atom + 2];
    }
    processes_.sum(values.data(), static_cast<std::int64_t>(values.size()));
    for (std::int64_t atom = 0; atom < processes_.num_local; ++atom) result[atom] += values[processes_.first + atom];
}

// This process's share.
Voigt ParticleMesh::strain(const Spectrum& p, const Spectrum& q) const {
    std::vector<Voigt> planes(part().shape()[0], Voigt{});
    part().for_each_wave([&](std::int64_t wave, const WavePlace& place) {
        const Vector3 k = green_.wave_vector(place);
        const double weight = place[2] == 0 ? 1.0 : 2.0;  // the other half of the waves has the same values
        const double power = weight * (p.real[wave] * q.real[wave] + p.imaginary[wave] * q.imaginary[wave]);
        for (int c = 0; c < 6; ++c)
            planes[place[0]][c] += power * strain_derivative(kernel_[wave], slopes_[wave], k, c);
    });
    Voigt result{};
    for (const auto& plane : planes)
        for (int c = 0; c < 6; ++c) result[c] += plane[c];
    return result;
}

// Half of p_i (dA/dε q)_i of all atoms i: this process's share.
void ParticleMesh::add_strain_per_atom(const std::vector<double>& p, const Spectrum& q_waves, double* result) const {
    for (int c = 0; c < 6; ++c) {
        std::vector<double> values(p.size(), 0.0);
        mesh_.interpolate(transformed_back(part(), product(q_waves, strain_kernel(c))), values.data());
        for (std::size_t atom = 0; atom < values.size(); ++atom) result[6 * atom + c] += 0.5 * p[atom] * values[atom];
    }
}

}  // namespace mhdnn::electrostatics
