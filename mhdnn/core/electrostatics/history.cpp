#include "history.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "vectors.h"

namespace mhdnn {
namespace {

using electrostatics::Matrix3;
using electrostatics::Vector3;

// More would amplify the errors of charges that were found to a tolerance: by the sum of the coefficients' sizes, 15.
constexpr std::size_t most_steps = 4;
// Of the square of what a polynomial misses: below it, one with a step more is taken.
constexpr double worthwhile = 0.25;
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

// Rows of open directions only have to be independent of the others.
Matrix3 lattice(const Box& box) {
    Matrix3 result{};
    for (int axis = 0; axis < 3; ++axis)
        for (int c = 0; c < 3; ++c) result[axis][c] = box.periodic[axis] ? box.vectors[axis][c] : axis == c ? 1.0 : 0.0;
    return result;
}

// Between the nearest images; none of atoms that are new.
std::vector<double> displacements(const Box& box, const std::vector<double>& from, const std::vector<double>& to) {
    const Matrix3 cell = lattice(box), inverse = electrostatics::inverse(cell);
    std::vector<double> result(to.size(), 0.0);
    for (std::size_t first = 0; first < to.size(); first += 3) {
        if (std::isnan(from[first])) continue;
        Vector3 difference;
        for (int axis = 0; axis < 3; ++axis) difference[axis] = to[first + axis] - from[first + axis];
        Vector3 images = electrostatics::multiply(difference, inverse);
        for (int axis = 0; axis < 3; ++axis) images[axis] = box.periodic[axis] ? std::nearbyint(images[axis]) : 0.0;
        const Vector3 shift = electrostatics::multiply(images, cell);
        for (int axis = 0; axis < 3; ++axis) result[first + axis] = difference[axis] - shift[axis];
    }
    return result;
}

// Of the polynomial through so many steps at equal times, at the next one: (-1)^k+1 (n over k).
std::vector<double> extrapolation(std::size_t num_steps) {
    std::vector<double> result(num_steps);
    double binomial = 1.0;
    for (std::size_t k = 0; k < num_steps; ++k) {
        binomial *= static_cast<double>(num_steps - k) / static_cast<double>(k + 1);
        result[k] = k % 2 == 0 ? binomial : -binomial;
    }
    return result;
}

double square_of_sum(const std::vector<double>& coefficients, const std::vector<std::vector<double>>& vectors) {
    double result = 0.0;
    for (std::size_t element = 0; element < vectors.front().size(); ++element) {
        double sum = 0.0;
        for (std::size_t k = 0; k < coefficients.size(); ++k) sum += coefficients[k] * vectors[k][element];
        result += sum * sum;
    }
    return result;
}

}  // namespace

void ChargeHistory::forget() {
    steps_.clear();
    tags_.clear();
}

void ChargeHistory::follow(const std::vector<double>& tags) {
    if (tags == tags_) return;
    std::unordered_map<double, std::size_t> place;
    for (std::size_t atom = 0; atom < tags_.size(); ++atom) place[tags_[atom]] = atom;
    for (Step& step : steps_) {
        const Step before = std::exchange(
            step, {std::vector<double>(3 * tags.size(), unknown), std::vector<double>(tags.size(), 0.0),
                   std::vector<double>(tags.size(), 0.0)});
        for (std::size_t atom = 0; atom < tags.size(); ++atom) {
            const auto found = place.find(tags[atom]);
            if (found == place.end()) continue;
            std::copy_n(&before.positions[3 * found->second], 3, &step.positions[3 * atom]);
            step.charges[atom] = before.charges[found->second];
            step.adjoint[atom] = before.adjoint[found->second];
        }
    }
    tags_ = tags;
}

void ChargeHistory::predict(const Box& box, const std::vector<double>& positions) {
    coefficients_.clear();
    std::vector<std::vector<double>> moved;
    for (const Step& step : steps_) moved.push_back(displacements(box, step.positions, positions));
    double smallest = std::numeric_limits<double>::infinity();
    for (std::size_t num_steps = 1; num_steps <= moved.size(); ++num_steps) {
        auto candidate = extrapolation(num_steps);
        const double miss = square_of_sum(candidate, moved);
        if (!coefficients_.empty() && miss > worthwhile * smallest) break;
        coefficients_ = std::move(candidate);
        smallest = miss;
    }
}

std::vector<double> ChargeHistory::combined(std::vector<double> Step::* values) const {
    if (steps_.empty()) return {};
    std::vector<double> result((steps_.front().*values).size(), 0.0);
    for (std::size_t k = 0; k < coefficients_.size(); ++k)
        for (std::size_t atom = 0; atom < result.size(); ++atom)
            result[atom] += coefficients_[k] * (steps_[k].*values)[atom];
    return result;
}

void ChargeHistory::add(std::vector<double> positions, std::vector<double> charges, std::vector<double> adjoint) {
    steps_.push_front({std::move(positions), std::move(charges), std::move(adjoint)});
    if (steps_.size() > most_steps) steps_.pop_back();
}

}  // namespace mhdnn
