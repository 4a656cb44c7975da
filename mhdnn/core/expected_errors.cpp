#include "expected_errors.h"

#include <algorithm>
#include <cmath>

namespace mhdnn {

std::vector<double> expected_errors(
    const ErrorModel& model, const Pairs& pairs, double cutoff, const std::vector<double>& logarithms,
    const std::vector<double>& grades, const std::vector<char>& outside) {
    const double inverse = 1.0 / (cutoff * cutoff);
    std::vector<double> result(pairs.num_centers);
    for (std::int64_t center = 0; center < pairs.num_centers; ++center) {
        const double* const own = &logarithms[2 * center];
        double total = 1.0, grade = own[0], force = own[1];
        for (std::int64_t pair = pairs.first[center]; pair < pairs.first[center + 1]; ++pair) {
            const double share = 1.0 - squared_length(&pairs.vectors[3 * pair]) * inverse;
            const double* const other = &logarithms[2 * pairs.neighbor[pair]];
            total += share * share;
            grade += share * share * other[0];
            force += share * share * other[1];
        }
        const auto element = pairs.element[center];
        double error = std::exp(
            model.offset[element] + model.weights[0] * own[0] + model.weights[1] * grade / total +
            model.weights[2] * own[1] + model.weights[3] * force / total);
        error = std::max(error, model.least_error[element]);
        const double excess = grades[2 * center + 1];
        if (excess > 1.0) error = std::max(error, excess * model.largest_error);
        if (!outside.empty() && outside[center]) error = std::max(error, model.outside_factor * model.largest_error);
        result[center] = error;
    }
    return result;
}

}  // namespace mhdnn
