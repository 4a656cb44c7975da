#include "particle_mesh.h"

#include <algorithm>

namespace mhdnn::electrostatics {
namespace {

// Derivative of the kernel by strain: volumes grow by the trace, k² by -2 k ε k.
double strain_derivative(double value, double slope, const Vector3& k, int component) {
    const int row = voigt_row[component], column = voigt_column[component];
    return (row == column ? -value : 0.0) - 2.0 * k[row] * k[column] * slope;
}

}  // namespace

ParticleMesh::ParticleMesh(
    const Matrix3& cell, const std::vector<double>& positions, double smearing, const MeshResolution& resolution,
    const std::optional<OpenBox>& box, const Processes& processes)
    : processes_(processes), green_(cell, mesh_shape(cell, smearing, resolution), smearing),
      mesh_(cell, mesh_shape(cell, smearing, resolution), resolution.order, positions),
      influence_(mesh_.shape(), resolution.order) {
    if (!box) {
        set_periodic_kernel();
        return;
    }
    open_.emplace(*box, mesh_.shape(), smearing);
    kernel_ = open_->values();
    for_each_wave(
        mesh_.shape(), [&](std::int64_t wave, const WavePlace& place) { kernel_[wave] *= influence_.at(place); });
}

void ParticleMesh::set_periodic_kernel() {
    kernel_.resize(num_waves(mesh_.shape()));
    slopes_.resize(num_waves(mesh_.shape()));
    for_each_wave(mesh_.shape(), [&](std::int64_t wave, const WavePlace& place) {
        const Vector3 k = green_.wave_vector(place);
        const GreenValue green = green_.at(dot(k, k));
        kernel_[wave] = influence_.at(place) * green.value;
        slopes_[wave] = influence_.at(place) * green.slope;
    });
}

std::vector<double> ParticleMesh::strain_kernel(int component) const {
    std::vector<double> result;
    if (open_) result = open_->strain_derivatives(component);
    result.resize(num_waves(mesh_.shape()));
    for_each_wave(mesh_.shape(), [&](std::int64_t wave, const WavePlace& place) {
        if (open_)
            result[wave] *= influence_.at(place);
        else
            result[wave] = strain_derivative(kernel_[wave], slopes_[wave], green_.wave_vector(place), component);
    });
    return result;
}

void ParticleMesh::add_product(const std::vector<double>& q, double* result) const {
    auto mesh = mesh_.spread(q);
    convolve(mesh_.shape(), kernel_, mesh);
    const auto values = mesh_.interpolate(mesh, own());
    for (std::size_t atom = 0; atom < values.size(); ++atom) result[atom] += values[atom];
}

std::vector<double> ParticleMesh::potential(const Spectrum& charges) const {
    Spectrum waves = charges;
    multiply(waves, kernel_);
    std::vector<double> mesh;
    transform_back(mesh_.shape(), waves, mesh);
    return mesh;
}

SmoothDerivatives ParticleMesh::derivatives(
    const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const {
    const std::int64_t first = processes_.first, count = processes_.num_local;
    const Spectrum p_waves = transformed(mesh_.shape(), mesh_.spread(p)),
                   q_waves = transformed(mesh_.shape(), mesh_.spread(q));
    // atoms of an open structure move without the box: the strain follows from the positions
    const Voigt together = open_ ? Voigt{} : strain(p_waves, q_waves);
    SmoothDerivatives result{std::vector<double>(3 * count), together, {}};
    const auto field_q = mesh_.gradients(potential(q_waves), own()),
               field_p = mesh_.gradients(potential(p_waves), own());
    for (std::int64_t atom = 0; atom < count; ++atom)
        for (int axis = 0; axis < 3; ++axis) {
            const std::int64_t place = 3 * atom + axis;
            result.positions[place] = p[first + atom] * field_q[place] + q[first + atom] * field_p[place];
        }
    if (per_atom) {
        result.strain_per_atom.assign(6 * count, 0.0);
        add_strain_per_atom(p, q_waves, result.strain_per_atom);
        add_strain_per_atom(q, p_waves, result.strain_per_atom);
    }
    return result;
}

// With weights W and kernel K the smooth part is W K Wᵀ.
void ParticleMesh::add_moved_product(const Motion& motion, const std::vector<double>& q, double* result) const {
    const std::int64_t first = processes_.first;
    const Spectrum charges = transformed(mesh_.shape(), mesh_.spread(q));
    const auto field = mesh_.gradients(potential(charges), own());
    Spectrum waves = transformed(mesh_.shape(), mesh_.spread_moved(q, motion.displacements));
    multiply(waves, kernel_);
    if (!open_)
        for_each_wave(mesh_.shape(), [&](std::int64_t wave, const WavePlace& place) {
            const Vector3 k = green_.wave_vector(place);
            const double change = -motion.trace() * kernel_[wave] -
                                  2.0 * dot(k, electrostatics::multiply(k, motion.strain)) * slopes_[wave];
            waves.real[wave] += change * charges.real[wave];
            waves.imaginary[wave] += change * charges.imaginary[wave];
        });
    std::vector<double> mesh;
    transform_back(mesh_.shape(), waves, mesh);
    const auto values = mesh_.interpolate(mesh, own());
    for (std::size_t atom = 0; atom < values.size(); ++atom) {
        const Vector3 d = motion.displacement(first + static_cast<std::int64_t>(atom));
        result[atom] += values[atom] + d[0] * field[3 * atom] + d[1] * field[3 * atom + 1] + d[2] * field[3 * atom + 2];
    }
}

Voigt ParticleMesh::strain(const Spectrum& p, const Spectrum& q) const {
    std::vector<Voigt> planes(mesh_.shape()[0], Voigt{});
    for_each_wave(mesh_.shape(), [&](std::int64_t wave, const WavePlace& place) {
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

// Half of p_i (dA/dε q)_i of own atoms i.
void ParticleMesh::add_strain_per_atom(
    const std::vector<double>& p, const Spectrum& q_waves, std::vector<double>& result) const {
    std::vector<double> mesh;
    for (int c = 0; c < 6; ++c) {
        Spectrum waves = q_waves;
        multiply(waves, strain_kernel(c));
        transform_back(mesh_.shape(), waves, mesh);
        const auto values = mesh_.interpolate(mesh, own());
        for (std::size_t atom = 0; atom < values.size(); ++atom)
            result[6 * atom + c] += 0.5 * p[processes_.first + atom] * values[atom];
    }
}

}  // namespace mhdnn::electrostatics
