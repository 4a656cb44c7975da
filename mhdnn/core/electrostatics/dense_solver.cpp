#include "dense_solver.h"

#include <numeric>

#include "parameters.h"

namespace mhdnn::electrostatics {

DenseSolver::DenseSolver(DenseMatrix matrix, const std::vector<double>& hardness, const Processes& processes)
    : factor_(std::move(matrix)), response_(processes.num_atoms, 1.0) {
    for (std::int64_t atom = 0; atom < factor_.size; ++atom) factor_.row(atom)[atom] += hardness[atom];
    double anywhere = factorize(factor_) > smallest_pivot ? 0.0 : 1.0;
    processes.sum(&anywhere, 1);
    if (anywhere > 0.0) throw indefinite("the structure");
    solve_factorized(factor_, response_);
}

std::vector<double> DenseSolver::solve(const std::vector<double>& right_side, double total, const double*, double) {
    std::vector<double> result = right_side;
    solve_factorized(factor_, result);
    const auto sum = [](const std::vector<double>& values) {
        return std::accumulate(values.begin(), values.end(), 0.0);
    };
    const double multiplier = (sum(result) - total) / sum(response_);
    for (std::size_t atom = 0; atom < result.size(); ++atom) result[atom] -= multiplier * response_[atom];
    return result;
}

}  // namespace mhdnn::electrostatics
