#include "repulsion.h"

#include <algorithm>
#include <cmath>

#include "radial_basis.h"

namespace mhdnn {

Repulsion::Repulsion(const Weights& weights, int num_elements) : num_elements_(num_elements) {
    if (!weights.has("repulsion.strength")) return;
    const std::size_t size = std::size_t(num_elements) * num_elements;
    strength_ = weights.numbers<double>("repulsion.strength", size);
    length_ = weights.positive("repulsion.length", size);
    inner_ = weights.numbers<double>("repulsion.inner", size);
    outer_ = weights.numbers<double>("repulsion.outer", size);
    for (std::size_t pair = 0; pair < size; ++pair)
        if (outer_[pair] > 0.0 && !(inner_[pair] < outer_[pair]))
            weights.refuse("repulsion.inner", "is not below the outer radius");
    amplitudes_ = weights.numbers<double>("repulsion.amplitudes");
    decays_ = weights.numbers<double>("repulsion.decays", amplitudes_.size());
    const double reach = *std::max_element(outer_.begin(), outer_.end());
    squared_reach_ = reach * reach;
}

// k Z Z'/r φ(r/a) f(r), and its derivative by r.
double Repulsion::of_pair(int pair, double distance, double& slope) const {
    double screening = 0.0, screening_slope = 0.0;
    for (std::size_t k = 0; k < amplitudes_.size(); ++k) {
        const double rate = decays_[k] / length_[pair], term = amplitudes_[k] * std::exp(-rate * distance);
        screening += term;
        screening_slope -= rate * term;
    }
    const double width = outer_[pair] - inner_[pair];
    double switched, switch_slope;
    const double below_outer = std::min(std::max((outer_[pair] - distance) / width, 0.0), 1.0);
    switching_value(CutoffFunction::polynomial, below_outer, switched, switch_slope);
    const double coulomb = strength_[pair] / distance;
    slope = coulomb * (screening_slope * switched - screening * (switch_slope / width + switched / distance));
    return coulomb * screening * switched;
}

template <class T>
double Repulsion::add(const Pairs& pairs, std::int64_t center, T* gradient) const {
    double energy = 0.0;
    for (std::int64_t p = pairs.first[center]; p < pairs.first[center + 1]; ++p) {
        const double* const r = &pairs.vectors[3 * p];
        const double square = squared_length(r);
        if (!(square < squared_reach_)) continue;
        const int pair = pairs.element[center] * num_elements_ + pairs.element[pairs.neighbor[p]];
        const double distance = std::sqrt(square);
        if (distance >= outer_[pair]) continue;
        double slope;
        energy += 0.5 * of_pair(pair, distance, slope);
        for (int axis = 0; axis < 3; ++axis) gradient[3 * p + axis] += T(0.5 * slope / distance * r[axis]);
    }
    return energy;
}

template double Repulsion::add(const Pairs&, std::int64_t, float*) const;
template double Repulsion::add(const Pairs&, std::int64_t, double*) const;

}  // namespace mhdnn
