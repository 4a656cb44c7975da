#include "iterative_solver.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "parameters.h"

namespace mhdnn::electrostatics {

IterativeSolver::IterativeSolver(
    Product product, std::vector<double> hardness, std::vector<Product> preconditioners, double tolerance,
    const Processes& processes)
    : product_(std::move(product)), hardness_(std::move(hardness)), preconditioners_(std::move(preconditioners)),
      tolerance_(std::max(tolerance, smallest_tolerance)), processes_(processes) {}

std::vector<double> IterativeSolver::gather(const std::vector<double>& x) const {
    std::vector<double> all(processes_.num_atoms);
    processes_.gather(x.data(), all.data(), 1);
    return all;
}

std::vector<double> IterativeSolver::multiply(const std::vector<double>& x) const {
    auto result = product_(gather(x));
    for (std::size_t atom = 0; atom < x.size(); ++atom) result[atom] += hardness_[atom] * x[atom];
    return result;
}

double IterativeSolver::sum(double value) const {
    processes_.sum(&value, 1);
    return value;
}

double IterativeSolver::product_of(const std::vector<double>& a, const std::vector<double>& b) const {
    return sum(std::inner_product(a.begin(), a.end(), b.begin(), 0.0));
}

// Adds the same to all so that they have a sum: the projection onto charges with it.
void IterativeSolver::shift_sum(std::vector<double>& x, double total) const {
    const double excess = sum(std::accumulate(x.begin(), x.end(), 0.0)) - total;
    for (double& value : x) value -= excess / static_cast<double>(processes_.num_atoms);
}

std::vector<double> IterativeSolver::residual_of(
    const std::vector<double>& right_side, const std::vector<double>& x) const {
    auto residual = multiply(x);
    for (std::size_t atom = 0; atom < x.size(); ++atom) residual[atom] = right_side[atom] - residual[atom];
    return residual;
}

std::vector<double> IterativeSolver::solve(
    const std::vector<double>& right_side, double total, const double* start_all) {
    std::vector<double> x(processes_.num_local, total / static_cast<double>(processes_.num_atoms));
    auto residual = total != 0.0 ? residual_of(right_side, x) : right_side;
    const double round_off = smallest_tolerance * std::sqrt(product_of(residual, residual));
    shift_sum(residual, 0.0);
    const double scale = std::sqrt(product_of(residual, residual));
    if (start_all != nullptr && scale > 0.0) {
        x.assign(start_all + processes_.first, start_all + processes_.first + processes_.num_local);
        shift_sum(x, total);
        residual = residual_of(right_side, x);
        shift_sum(residual, 0.0);
    }
    // where all atoms are alike, nothing but round-off is left of the first residual
    const double target = std::max(tolerance_ * scale, round_off);
    double left = 0.0;
    iterations_ = 0;
    for (const auto& preconditioner : preconditioners_) {
        x = iterate(std::move(x), std::move(residual), target, preconditioner);
        residual = residual_of(right_side, x);  // not the recurrence, which drifts
        shift_sum(residual, 0.0);
        left = std::sqrt(product_of(residual, residual));
        if (left <= 10.0 * target) return gather(x);
    }
    char text[400];
    std::snprintf(
        text, sizeof text,
        "charges: expected a residual below %.1e of the first one, got %.1e after %d iterations; look for a "
        "hardness that is too small and for atoms at the same place, ask for less accuracy, or choose the "
        "dense solver",
        target / scale, left / scale, iterations_);
    throw std::runtime_error(text);
}

// Until the norm of the residual is below the target, or this preconditioner is given up.
std::vector<double> IterativeSolver::iterate(
    std::vector<double> x, std::vector<double> residual, double target, const Product& preconditioner) {
    std::vector<double> direction(x.size(), 0.0);
    double previous = 1.0;
    for (int iteration = 0; iteration < most_iterations; ++iteration) {
        if (std::sqrt(product_of(residual, residual)) <= target) break;
        auto step = preconditioner(residual);
        shift_sum(step, 0.0);
        const double product = product_of(residual, step);
        if (!(product > 0.0)) break;
        const double kept = iteration > 0 ? product / previous : 0.0;
        for (std::size_t atom = 0; atom < x.size(); ++atom) direction[atom] = step[atom] + kept * direction[atom];
        const auto image = multiply(direction);
        const double curvature = product_of(direction, image);
        if (!(curvature > 0.0)) throw indefinite("charges that add up to zero");
        for (std::size_t atom = 0; atom < x.size(); ++atom) {
            x[atom] += product / curvature * direction[atom];
            residual[atom] -= product / curvature * image[atom];
        }
        shift_sum(residual, 0.0);
        previous = product;
        ++iterations_;
    }
    return x;
}

}  // namespace mhdnn::electrostatics
