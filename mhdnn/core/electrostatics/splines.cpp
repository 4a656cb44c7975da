#include "splines.h"

#include <cmath>

#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

double sinc(double x) { return x == 0.0 ? 1.0 : std::sin(pi * x) / (pi * x); }

}  // namespace

std::vector<double> spline_coefficients(int order) {
    std::vector<double> pieces = {1.0};
    for (int p = 2; p <= order; ++p) {
        std::vector<double> longer(p * p, 0.0);
        const auto add = [&](int piece, int previous, double slope, double intercept) {
            if (previous < 0 || previous >= p - 1) return;
            for (int k = 0; k < p - 1; ++k) {
                const double coefficient = pieces[previous * (p - 1) + k] / (p - 1);
                longer[piece * p + k] += intercept * coefficient;
                longer[piece * p + k + 1] += slope * coefficient;
            }
        };
        for (int piece = 0; piece < p; ++piece) {
            add(piece, piece, 1.0, piece);
            add(piece, piece - 1, -1.0, p - piece);
        }
        pieces = std::move(longer);
    }
    return pieces;
}

std::vector<double> influence_factor(std::int64_t size, int order) {
    std::vector<double> result(size);
    for (std::int64_t place = 0; place < size; ++place) {
        const double fraction = static_cast<double>(wave_number(place, size)) / static_cast<double>(size);
        double sum = 0.0;
        for (int alias = -num_aliases; alias <= num_aliases; ++alias)
            sum += std::pow(sinc(fraction + alias), 2 * order);
        result[place] = std::pow(sinc(fraction), 2 * order) / (sum * sum);
    }
    if (size % 2 == 0) result[size / 2] = 0.0;  // the highest wave number has no sign
    return result;
}

}  // namespace mhdnn::electrostatics
