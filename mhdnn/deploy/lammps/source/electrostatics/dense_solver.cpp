#include "dense_solver.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/ones.h>

#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

at::Tensor column_of(const std::vector<double> &values) {
  return at::from_blob(const_cast<double *>(values.data()), {static_cast<std::int64_t>(values.size()), 1},
                       at::kDouble);
}

}  // namespace

DenseSolver::DenseSolver(at::Tensor matrix, const std::vector<double> &hardness, const Processes &processes)
    : processes_(processes) {
  matrix.diagonal().add_(column_of(hardness).squeeze(1));
  const auto diagonal = matrix.diagonal().clone();
  auto [factor, failed] = at::linalg_cholesky_ex(matrix);
  const auto pivots = factor.diagonal().square() / diagonal;
  const bool singular = failed.item<int>() != 0 || !pivots.gt(smallest_pivot).all().item<bool>();
  double anywhere = singular ? 1.0 : 0.0;
  processes_.sum(&anywhere, 1);
  if (anywhere > 0.0) throw indefinite("the structure");
  factor_ = factor;
  response_ = at::cholesky_solve(at::ones({processes.num_atoms, 1}, at::kDouble), factor_);
}

std::vector<double> DenseSolver::solve(const std::vector<double> &right_side, double total, const double *) {
  std::vector<double> all(processes_.num_atoms);
  processes_.gather(right_side.data(), all.data(), 1);
  const auto free = at::cholesky_solve(column_of(all), factor_);
  const double multiplier = (free.sum().item<double>() - total) / response_.sum().item<double>();
  const auto solution = (free - multiplier * response_).contiguous();
  return {solution.const_data_ptr<double>(), solution.const_data_ptr<double>() + processes_.num_atoms};
}

}  // namespace mhdnn::electrostatics
