#include "parameters.h"

#include <algorithm>
#include <cmath>

namespace mhdnn::electrostatics {
namespace {

// A smearing that follows every change of the cell would make noise in the energy.
double in_steps(double smearing) {
    return std::pow(smearing_step, std::nearbyint(std::log(smearing) / std::log(smearing_step)));
}

}  // namespace

// z with a normal distribution's weight of accuracy/20 beyond it: Newton's method for the logarithm of erfc(z/√2)/2.
double decay_length(double accuracy) {
    const double wanted = std::log(0.5 * 0.1 * accuracy);
    double z = std::sqrt(-2.0 * wanted);
    for (int step = 0; step < 50; ++step) {
        const double weight = 0.5 * std::erfc(z / std::sqrt(2.0));
        const double slope = -std::exp(-0.5 * z * z) / (std::sqrt(2.0 * pi) * weight);
        const double change = (std::log(weight) - wanted) / slope;
        z -= change;
        if (std::abs(change) < 1e-15 * z) break;
    }
    return z;
}

Splitting splitting_with(double smearing, double largest_width, double accuracy) {
    const double reach = decay_length(accuracy);
    return {smearing, reach * std::max(smearing, largest_width), reach / smearing};
}

Splitting choose_splitting(double volume, double largest_width, double accuracy) {
    const double smearing = std::max(in_steps(smearing_per_length * std::cbrt(volume)), largest_width);
    return splitting_with(smearing, largest_width, accuracy);
}

double neighborhood_edge(double num_atoms, double volume, std::vector<double> extents) {
    std::sort(extents.begin(), extents.end());
    double measure = volume * neighbors_with_mesh / num_atoms;
    int dimension = 3;
    for (std::size_t place = 0; place < std::min<std::size_t>(2, extents.size()); ++place, --dimension) {
        if (std::pow(measure, 1.0 / dimension) <= extents[place]) break;
        measure /= extents[place];
    }
    return std::pow(measure, 1.0 / dimension);
}

double mesh_smearing(double edge, double largest_width, double accuracy) {
    const double cutoff = edge * std::cbrt(3.0 / (4.0 * pi));
    return std::max(in_steps(cutoff / decay_length(accuracy)), largest_width);
}

MeshResolution choose_resolution(double accuracy) {
    return std::find_if(
               resolutions.begin(), resolutions.end(),
               [&](const ResolutionEntry& entry) { return accuracy >= entry.lowest_accuracy; })
        ->resolution;
}

std::int64_t good_size(double least) {
    auto size = std::max<std::int64_t>(2, 2 * static_cast<std::int64_t>(std::ceil(least / 2.0)));
    for (;; size += 2) {
        std::int64_t rest = size;
        for (const int factor : {2, 3, 5})
            while (rest % factor == 0) rest /= factor;
        if (rest == 1) return size;
    }
}

MeshShape mesh_shape(const Matrix3& cell, double smearing, const MeshResolution& resolution) {
    MeshShape shape;
    for (int axis = 0; axis < 3; ++axis)
        shape[axis] = good_size(std::max(norm(cell[axis]) / (resolution.spacing * smearing), 2.0 * resolution.order));
    return shape;
}

}  // namespace mhdnn::electrostatics
