#include "expected_errors.h"

#include <algorithm>
#include <cmath>

namespace mhdnn {

namespace {

// Raised where the atom, or what is around it, is unlike the training set.
double raised(const ErrorModel& model, double error, double excess, double around) {
    if (excess > 1.0) {
        const double largest = excess * model.largest_error;
        error = std::max(error, std::min(error * std::pow(excess, model.steepness), largest));
    }
    if (!(around > model.foreign_from)) return error;
    const double largest = around * model.largest_error;
    if (around >= 1.0) return std::max(error, largest);
    const double share = (around - model.foreign_from) / (1.0 - model.foreign_from);
    return std::max(error, std::pow(error, 1.0 - share) * std::pow(largest, share));
}

}  // namespace

void store_sizes(const ErrorModel& model, const double* grade, const double* force, double* sizes) {
    sizes[0] = std::log(grade[0]);
    sizes[1] = std::log(std::sqrt(squared_length(force)) + model.force_floor);
    sizes[2] = grade[1];
}

std::vector<double> expected_errors(
    const ErrorModel& model, const Pairs& pairs, double cutoff, const std::vector<double>& sizes,
    const std::vector<char>& outside) {
    const double inverse = 1.0 / (cutoff * cutoff);
    std::vector<double> result(pairs.num_centers);
    for (std::int64_t center = 0; center < pairs.num_centers; ++center) {
        const double* const own = &sizes[num_sizes * center];
        double total = 1.0, grade = own[0], force = own[1], excess = own[2];
        for (std::int64_t pair = pairs.first[center]; pair < pairs.first[center + 1]; ++pair) {
            const double share = 1.0 - squared_length(&pairs.vectors[3 * pair]) * inverse, weight = share * share;
            const double* const other = &sizes[num_sizes * pairs.neighbor[pair]];
            total += weight;
            grade += weight * other[0];
            force += weight * other[1];
            excess += weight * other[2];
        }
        const auto element = pairs.element[center];
        double error = std::exp(
            model.offset[element] + model.weights[0] * own[0] + model.weights[1] * grade / total +
            model.weights[2] * own[1] + model.weights[3] * force / total);
        error = std::max(error, model.least_error[element]);
        const double around = model.alone > 0.0 ? std::max(excess / total, own[2] / model.alone) : own[2];
        error = raised(model, error, own[2], around);
        if (!outside.empty() && outside[center]) error = std::max(error, model.outside_factor * model.largest_error);
        result[center] = error;
    }
    return result;
}

}  // namespace mhdnn
