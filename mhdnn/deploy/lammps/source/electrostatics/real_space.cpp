#include "real_space.h"

#include <algorithm>
#include <cmath>

#include "gaussians.h"

namespace mhdnn::electrostatics {

RealSpace::RealSpace(Neighbors neighbors, const std::vector<double> &widths, double smearing)
    : neighbors_(std::move(neighbors)),
      values_(neighbors_.num_pairs()),
      slopes_(neighbors_.num_pairs()),
      self_(neighbors_.rows.count) {
  evaluate(widths, smearing);
}

void RealSpace::evaluate(const std::vector<double> &widths, double smearing) {
#pragma omp parallel
  {
    std::vector<double> squared, gamma;
#pragma omp for schedule(dynamic, 16)
    for (std::int64_t row = 0; row < neighbors_.rows.count; ++row) {
      const std::int64_t start = neighbors_.starts[row], count = neighbors_.starts[row + 1] - start;
      const double own = widths[neighbors_.rows.first + row];
      self_[row] = self_value(own, smearing);
      squared.resize(count);
      gamma.resize(count);
      for (std::int64_t k = 0; k < count; ++k) {
        const Vector3 vector = neighbors_.vector(row, start + k);
        const double other = widths[neighbors_.atom[start + k]];
        squared[k] = dot(vector, vector);
        gamma[k] = std::sqrt(own * own + other * other);
      }
      pair_values(count, squared.data(), gamma.data(), smearing, &values_[start], &slopes_[start]);
    }
  }
}

void RealSpace::add_product(const std::vector<double> &q, Rows own, double *result) const {
  const std::int64_t skipped = own.first - neighbors_.rows.first;
#pragma omp parallel for schedule(static)
  for (std::int64_t row = skipped; row < skipped + own.count; ++row) {
    double sum = self_[row] * q[neighbors_.rows.first + row];
    const std::int64_t end = neighbors_.starts[row + 1];
#pragma omp simd reduction(+ : sum)
    for (std::int64_t pair = neighbors_.starts[row]; pair < end; ++pair)
      sum += values_[pair] * q[neighbors_.atom[pair]];
    result[row - skipped] += sum;
  }
}

void RealSpace::add_to_matrix(double *matrix) const {
  const std::int64_t size = neighbors_.rows.count;
  for (std::int64_t row = 0; row < size; ++row) {
    matrix[row * size + row] += self_[row];
    for (std::int64_t pair = neighbors_.starts[row]; pair < neighbors_.starts[row + 1]; ++pair)
      matrix[row * size + neighbors_.atom[pair]] += values_[pair];
  }
}

void RealSpace::add_derivatives(const std::vector<double> &p, const std::vector<double> &q, Rows own, Voigt &strain,
                                Derivatives &result) const {
  const std::int64_t skipped = own.first - neighbors_.rows.first;
  std::vector<Voigt> parts(own.count);
#pragma omp parallel for schedule(static)
  for (std::int64_t local = 0; local < own.count; ++local) {
    const std::int64_t row = skipped + local, atom = own.first + local;
    double x = 0.0, y = 0.0, z = 0.0;
    Voigt part{};
    for (std::int64_t pair = neighbors_.starts[row]; pair < neighbors_.starts[row + 1]; ++pair) {
      const std::int64_t other = neighbors_.atom[pair];
      const Vector3 vector = neighbors_.vector(row, pair);
      const double weight = slopes_[pair] * (p[atom] * q[other] + q[atom] * p[other]);
      x -= 2.0 * weight * vector[0];
      y -= 2.0 * weight * vector[1];
      z -= 2.0 * weight * vector[2];
      for (int c = 0; c < 6; ++c) part[c] += weight * vector[voigt_row[c]] * vector[voigt_column[c]];
    }
    result.positions[3 * local] += x;
    result.positions[3 * local + 1] += y;
    result.positions[3 * local + 2] += z;
    parts[local] = part;
  }
  for (std::int64_t local = 0; local < own.count; ++local)
    for (int c = 0; c < 6; ++c) {
      strain[c] += parts[local][c];
      if (!result.strain_per_atom.empty()) result.strain_per_atom[6 * local + c] += parts[local][c];
    }
}

}  // namespace mhdnn::electrostatics
