#include "structure_factors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

at::Tensor tensor_of(const std::vector<double> &values, at::IntArrayRef shape) {
  return at::from_blob(const_cast<double *>(values.data()), shape, at::kDouble).clone();
}

at::Tensor view_of(const std::vector<double> &values) {
  return at::from_blob(const_cast<double *>(values.data()), {static_cast<std::int64_t>(values.size())}, at::kDouble);
}

std::vector<double> numbers_of(const at::Tensor &tensor) {
  const auto whole = tensor.contiguous();
  return {whole.const_data_ptr<double>(), whole.const_data_ptr<double>() + whole.numel()};
}

// One of each k and -k up to the cutoff, without zero; 3 numbers each.
std::vector<double> wave_vectors(const Matrix3 &cell, double cutoff) {
  const Matrix3 reciprocal = inverse(cell);  // columns over 2π
  std::int64_t most[3];
  for (int axis = 0; axis < 3; ++axis) most[axis] = static_cast<std::int64_t>(cutoff * norm(cell[axis]) / (2.0 * pi));
  std::vector<double> result;
  for (std::int64_t a = 0; a <= most[0]; ++a)
    for (std::int64_t b = -most[1]; b <= most[1]; ++b)
      for (std::int64_t c = -most[2]; c <= most[2]; ++c) {
        if (a == 0 && (b < 0 || (b == 0 && c <= 0))) continue;
        Vector3 k;
        for (int axis = 0; axis < 3; ++axis)
          k[axis] = 2.0 * pi * dot(reciprocal[axis], {double(a), double(b), double(c)});
        if (dot(k, k) <= cutoff * cutoff) result.insert(result.end(), k.begin(), k.end());
      }
  return result;
}

// Sums over atoms of charges times cosine and sine, times the weights.
struct Sums {
  at::Tensor cosine, sine;
};

// Sum of the waves with amplitudes for cosine and sine times n coefficients of each wave, shape (num_atoms, n).
at::Tensor waves_at(const at::Tensor &cosine, const at::Tensor &sine, const at::Tensor &by_cosine,
                    const at::Tensor &by_sine, const at::Tensor &coefficients) {
  return at::matmul(cosine, by_cosine.unsqueeze(1) * coefficients) +
         at::matmul(sine, by_sine.unsqueeze(1) * coefficients);
}

}  // namespace

StructureFactors::StructureFactors(const Matrix3 &cell, const std::vector<double> &positions, double smearing,
                                   double cutoff, const Processes &processes)
    : processes_(processes) {
  const auto waves = wave_vectors(cell, cutoff);
  const auto count = static_cast<std::int64_t>(waves.size() / 3);
  const double scale = 2.0 * coulomb_constant * 4.0 * pi / std::abs(determinant(cell));  // 2: for k and -k
  std::vector<double> weights(count), strain(6 * count);
  for (std::int64_t wave = 0; wave < count; ++wave) {
    const double *const k = &waves[3 * wave];
    const double squared = k[0] * k[0] + k[1] * k[1] + k[2] * k[2];
    weights[wave] = scale * std::exp(-0.5 * smearing * smearing * squared) / squared;
    for (int c = 0; c < 6; ++c) {
      const int row = voigt_row[c], column = voigt_column[c];
      strain[6 * wave + c] =
          (smearing * smearing + 2.0 / squared) * k[row] * k[column] - (row == column ? 1.0 : 0.0);
    }
  }
  vectors_ = tensor_of(waves, {count, 3});
  weights_ = tensor_of(weights, {count});
  strain_ = tensor_of(strain, {count, 6});
  const auto phases =
      at::matmul(tensor_of(positions, {static_cast<std::int64_t>(positions.size() / 3), 3}), vectors_.t());
  cosine_ = phases.cos();
  sine_ = phases.sin();
}

at::Tensor StructureFactors::matrix() const {
  const auto root = weights_.sqrt();
  const auto scaled = at::cat({cosine_ * root, sine_ * root}, 1);
  return at::matmul(scaled, scaled.t());
}

void StructureFactors::add_product(const std::vector<double> &q, double *result) const {
  const auto charges = view_of(q);
  const auto values = numbers_of(at::matmul(own(cosine_), weights_ * at::matmul(charges, cosine_)) +
                                 at::matmul(own(sine_), weights_ * at::matmul(charges, sine_)));
  for (std::size_t atom = 0; atom < values.size(); ++atom) result[atom] += values[atom];
}

SmoothDerivatives StructureFactors::derivatives(const std::vector<double> &p, const std::vector<double> &q,
                                                bool per_atom) const {
  const auto sums = [&](const std::vector<double> &charges) {
    return Sums{weights_ * at::matmul(view_of(charges), cosine_), weights_ * at::matmul(view_of(charges), sine_)};
  };
  const Sums of_p = sums(p), of_q = sums(q);
  const auto own_p = own(view_of(p)).unsqueeze(1), own_q = own(view_of(q)).unsqueeze(1);
  const auto cosine = own(cosine_), sine = own(sine_);
  const auto gradient = own_p * waves_at(cosine, sine, of_q.sine, -of_q.cosine, vectors_) +
                        own_q * waves_at(cosine, sine, of_p.sine, -of_p.cosine, vectors_);
  const auto power = at::matmul(view_of(p), cosine_) * of_q.cosine + at::matmul(view_of(p), sine_) * of_q.sine;
  SmoothDerivatives result{numbers_of(gradient), {}, {}};
  const auto strain = numbers_of(at::matmul(power, strain_));
  std::copy(strain.begin(), strain.end(), result.strain.begin());
  if (per_atom)
    result.strain_per_atom = numbers_of(0.5 * (own_p * waves_at(cosine, sine, of_q.cosine, of_q.sine, strain_) +
                                               own_q * waves_at(cosine, sine, of_p.cosine, of_p.sine, strain_)));
  return result;
}

}  // namespace mhdnn::electrostatics
