#include "charge_terms.h"

#include <algorithm>
#include <cmath>

#include "electrostatics/parameters.h"
#include "function_lists.h"

namespace mhdnn {

using electrostatics::pi;

ChargeTerms::ChargeTerms(const Weights& weights, int num_elements)
    : shift(weights.numbers<double>("charges.electronegativity_shift", num_elements)),
      widths(weights.positive("charges.widths", num_elements)),
      hardness(weights.positive("charges.hardness", num_elements)),
      mean(weights.numbers<double>("charges.charge_mean", num_elements)), scale(weights.number("charges.charge_scale")),
      accuracy(weights.number("charges.accuracy")), constant_(weights.number("charges.coulomb_constant")),
      inner_(weights.number("charges.inner_radius")), outer_(weights.number("charges.outer_radius")),
      self_terms_(weights.integer("charges.screens_self_terms", 0, 1) != 0),
      function_(cutoff_function_from_name(weights.text("charges.screening_function"))) {
    if (outer_ > 0.0 && !(inner_ < outer_)) weights.refuse("charges.inner_radius", "is not below the outer one");
}

double ChargeTerms::of_pair(int first, int second, double distance, double& slope) const {
    const double square = 2.0 * (widths[first] * widths[first] + widths[second] * widths[second]);
    const double reduced = distance / std::sqrt(square);
    const double interaction = constant_ * std::erf(reduced) / distance;
    const double interaction_slope =
        (constant_ * 2.0 / std::sqrt(pi * square) * std::exp(-reduced * reduced) - interaction) / distance;
    const double fraction = (outer_ - distance) / (outer_ - inner_);
    double missing, missing_slope;
    switching_value(function_, std::min(std::max(fraction, 0.0), 1.0), missing, missing_slope);
    missing_slope *= fraction > 0.0 && fraction < 1.0 ? -1.0 / (outer_ - inner_) : 0.0;
    slope = -0.5 * (interaction_slope * missing + interaction * missing_slope);
    return -0.5 * interaction * missing;
}

void ChargeTerms::add_screening(
    const Pairs& pairs, const std::vector<double>& charges, std::vector<double>& energies,
    std::vector<double>& by_charges) const {
    for (std::int64_t center = 0; center < pairs.num_centers; ++center) {
        const int first = pairs.element[center];
        const double charge = charges[center];
        if (self_terms_) {
            const double factor = constant_ / (2.0 * std::sqrt(pi) * widths[first]);
            energies[center] -= factor * charge * charge;
            by_charges[center] -= 2.0 * factor * charge;
        }
        for (std::int64_t pair = pairs.first[center]; outer_ > 0.0 && pair < pairs.first[center + 1]; ++pair) {
            const double square = squared_length(&pairs.vectors[3 * pair]);
            if (square >= outer_ * outer_) continue;
            const int neighbor = pairs.neighbor[pair];
            double slope;
            const double factor = of_pair(first, pairs.element[neighbor], std::sqrt(square), slope);
            energies[center] += factor * charge * charges[neighbor];
            by_charges[center] += factor * charges[neighbor];
            by_charges[neighbor] += factor * charge;
        }
    }
}

template <class T>
void ChargeTerms::add_gradient(
    const Pairs& pairs, const std::vector<double>& charges, std::int64_t center, T* gradient) const {
    for (std::int64_t pair = pairs.first[center]; outer_ > 0.0 && pair < pairs.first[center + 1]; ++pair) {
        const double* const r = &pairs.vectors[3 * pair];
        const double square = squared_length(r);
        if (square >= outer_ * outer_) continue;
        const int neighbor = pairs.neighbor[pair];
        const double distance = std::sqrt(square);
        double slope;
        of_pair(pairs.element[center], pairs.element[neighbor], distance, slope);
        const double factor = slope * charges[center] * charges[neighbor] / distance;
        for (int axis = 0; axis < 3; ++axis) gradient[3 * pair + axis] += T(factor * r[axis]);
    }
}

template void ChargeTerms::add_gradient(const Pairs&, const std::vector<double>&, std::int64_t, float*) const;
template void ChargeTerms::add_gradient(const Pairs&, const std::vector<double>&, std::int64_t, double*) const;

}  // namespace mhdnn
