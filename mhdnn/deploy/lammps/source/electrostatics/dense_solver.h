// Charge equilibration by a dense factorisation: dense.py.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "charge_system.h"
#include "solver.h"

namespace mhdnn::electrostatics {

// By Cholesky factors, every process for itself.
class DenseSolver : public Solver {
 public:
  // The matrix is A plus a constant that makes it positive definite.
  DenseSolver(at::Tensor matrix, const std::vector<double> &hardness, const Processes &processes);

  std::vector<double> solve(const std::vector<double> &right_side_local, double total,
                            const double *start_all) override;

 private:
  const Processes &processes_;
  at::Tensor factor_;    // shape (num_atoms, num_atoms)
  at::Tensor response_;  // to a potential of one for all atoms, shape (num_atoms, 1)
};

}  // namespace mhdnn::electrostatics
