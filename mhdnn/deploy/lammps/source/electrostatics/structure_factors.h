// The smooth part by explicit wave vectors: ewald.py and periodic.py. Every process has those of all atoms.
#pragma once

#include <ATen/core/Tensor.h>

#include "charge_system.h"
#include "smooth_part.h"

namespace mhdnn::electrostatics {

class StructureFactors : public SmoothPart {
 public:
  // The cutoff is the largest wave vector, 1/Å.
  StructureFactors(const Matrix3 &cell, const std::vector<double> &positions, double smearing, double cutoff,
                   const Processes &processes);

  void add_product(const std::vector<double> &q, double *result) const override;
  SmoothDerivatives derivatives(const std::vector<double> &p, const std::vector<double> &q,
                                bool per_atom) const override;
  // Its part of A, shape (num_atoms, num_atoms), eV/e².
  at::Tensor matrix() const;

 private:
  at::Tensor own(const at::Tensor &rows) const { return rows.narrow(0, processes_.first, processes_.num_local); }

  const Processes &processes_;
  at::Tensor vectors_;         // k, shape (num_waves, 3): one of each k and -k
  at::Tensor weights_;         // shape (num_waves,), eV/e²
  at::Tensor strain_;          // derivatives of the logarithms of the weights, shape (num_waves, 6)
  at::Tensor cosine_, sine_;   // shape (num_atoms, num_waves)
};

}  // namespace mhdnn::electrostatics
