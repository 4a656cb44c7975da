#include "iterative_solver.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

using Vector = IterativeSolver::Vector;

double product_of(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

double norm_of(const Vector& a) { return std::sqrt(product_of(a, a)); }

// Adds the same to all so that they have a sum: the projection onto charges with it.
void shift_sum(Vector& x, double total) {
    const double excess = std::accumulate(x.begin(), x.end(), 0.0) - total;
    for (double& value : x) value -= excess / static_cast<double>(x.size());
}

}  // namespace

IterativeSolver::IterativeSolver(
    Product product, Vector hardness, std::vector<Preconditioner> preconditioners, double tolerance)
    : product_(std::move(product)), hardness_(std::move(hardness)), preconditioners_(std::move(preconditioners)),
      tolerance_(std::max(tolerance, smallest_tolerance)) {}

// Remembers A x.
Vector IterativeSolver::residual_of(const Vector& right_side, const Vector& x) {
    product_of_x_ = product_(x);
    Vector residual = right_side;
    for (std::size_t atom = 0; atom < x.size(); ++atom)
        residual[atom] -= product_of_x_[atom] + hardness_[atom] * x[atom];
    return residual;
}

Vector IterativeSolver::solve(const Vector& right_side, double total, const double* start, double sufficient) {
    Vector x(right_side.size(), total / static_cast<double>(right_side.size()));
    product_of_x_.assign(x.size(), 0.0);
    Vector residual = total != 0.0 ? residual_of(right_side, x) : right_side;
    const double round_off = smallest_tolerance * norm_of(residual);
    shift_sum(residual, 0.0);
    const double scale = norm_of(residual);
    if (start != nullptr && scale > 0.0) {
        x.assign(start, start + x.size());
        shift_sum(x, total);
        residual = residual_of(right_side, x);
        shift_sum(residual, 0.0);
    }
    // where all atoms are alike, nothing but round-off is left of the first residual
    target_ = std::max({tolerance_ * scale, round_off, sufficient});
    double left = 0.0;
    iterations_ = 0;
    drift_ = 0.0;
    for (const auto& preconditioner : preconditioners_) {
        iterate(x, residual, preconditioner);
        left = norm_of(residual);
        if (left <= target_ && drift_ <= target_) return x;
        residual = residual_of(right_side, x);
        shift_sum(residual, 0.0);
        left = norm_of(residual);
        if (left <= 10.0 * target_) return x;
    }
    char text[400];
    std::snprintf(
        text, sizeof text,
        "charges: expected a residual below %.1e of the first one, got %.1e after %d iterations; look for a "
        "hardness that is too small and for atoms at the same place, ask for less accuracy, or choose the "
        "dense solver",
        target_ / scale, left / scale, iterations_);
    throw std::runtime_error(text);
}

// Until the norm of the residual is below the target, or this preconditioner is given up. What the residual of the
// recurrence may have drifted from that of the solution is the round-off of products with a matrix of at least the
// largest Rayleigh quotient (A. Greenbaum, SIAM J. Matrix Anal. Appl. 18, 535 (1997),
// https://doi.org/10.1137/S0895479895284944).
void IterativeSolver::iterate(Vector& x, Vector& residual, const Preconditioner& preconditioner) {
    Vector direction(x.size(), 0.0);
    double previous = 1.0, largest = 0.0, way = 0.0;
    for (int iteration = 0; iteration < most_iterations; ++iteration) {
        if (norm_of(residual) <= target_) break;
        Vector step = preconditioner(residual);
        shift_sum(step, 0.0);
        const double product = product_of(residual, step);
        if (!(product > 0.0)) break;
        const double kept = iteration > 0 ? product / previous : 0.0;
        for (std::size_t atom = 0; atom < x.size(); ++atom) direction[atom] = step[atom] + kept * direction[atom];
        const Vector image = product_(direction);
        double curvature = 0.0;
        for (std::size_t atom = 0; atom < x.size(); ++atom)
            curvature += direction[atom] * (image[atom] + hardness_[atom] * direction[atom]);
        if (!(curvature > 0.0)) throw indefinite("charges that add up to zero");
        const double length = product / curvature;
        for (std::size_t atom = 0; atom < x.size(); ++atom) {
            x[atom] += length * direction[atom];
            product_of_x_[atom] += length * image[atom];
            residual[atom] -= length * (image[atom] + hardness_[atom] * direction[atom]);
        }
        shift_sum(residual, 0.0);
        const double size = norm_of(direction);
        largest = std::max(largest, curvature / (size * size));
        way += length * size;
        previous = product;
        ++iterations_;
    }
    drift_ += smallest_tolerance * largest * way;
}

}  // namespace mhdnn::electrostatics
