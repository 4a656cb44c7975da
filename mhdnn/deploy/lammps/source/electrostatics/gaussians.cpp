#include "gaussians.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>

#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

constexpr double series_below = 1.0;  // the upward recursion of Boys functions loses digits there
constexpr int num_terms = 20;
constexpr std::int64_t chunk = 2048;  // of pairs; what they need in between stays in the cache

const double two_over_root_pi = 2.0 / std::sqrt(pi);

// Boys function exp(-T) sum_k (2T)^k / ((2m+1)(2m+3)...(2m+2k+1)).
double boys_series(int order, double argument) {
  double term = 1.0 / (2 * order + 1), total = term;
  for (int k = 1; k < num_terms; ++k) {
    term *= 2.0 * argument / (2 * order + 2 * k + 1);
    total += term;
  }
  return std::exp(-argument) * total;
}

// Adds sign k_e φ and its slope -k_e φ_1 for arguments T = r²/2γ²; root, error function and exponential of
// -max(T, 1) are given.
void add_terms(std::int64_t count, double sign, const double *argument, const double *root, const double *error,
               const double *exponential, const double *width, std::int64_t stride, double *values, double *slopes) {
  const double scale = sign * coulomb_constant * std::sqrt(2.0 / pi);
#pragma omp simd
  for (std::int64_t pair = 0; pair < count; ++pair) {
    const double gamma = width[stride * pair];
    const double clamped = root[pair] * root[pair];
    const double zeroth = (1.0 / two_over_root_pi) * error[pair] / root[pair];
    const double first = (zeroth - exponential[pair]) / (2.0 * clamped);
    values[pair] += scale / gamma * zeroth;
    slopes[pair] -= scale / (2.0 * gamma * gamma * gamma) * first;
  }
  for (std::int64_t pair = 0; pair < count; ++pair) {
    if (argument[pair] >= series_below) continue;
    const double gamma = width[stride * pair];
    const double zeroth = (1.0 / two_over_root_pi) * error[pair] / root[pair];
    const double first = (zeroth - exponential[pair]) / (2.0 * root[pair] * root[pair]);
    values[pair] += scale / gamma * (boys_series(0, argument[pair]) - zeroth);
    slopes[pair] -= scale / (2.0 * gamma * gamma * gamma) * (boys_series(1, argument[pair]) - first);
  }
}

struct Work {
  double argument[chunk], root[chunk], error[chunk], exponential[chunk];
};

void add_kernel(Work &work, std::int64_t count, double sign, const double *squared, const double *width,
                std::int64_t stride, double *values, double *slopes) {
  for (std::int64_t pair = 0; pair < count; ++pair) {
    const double gamma = width[stride * pair];
    work.argument[pair] = squared[pair] / (2.0 * gamma * gamma);
    const double clamped = std::max(work.argument[pair], series_below);
    work.root[pair] = std::sqrt(clamped);
    work.exponential[pair] = -clamped;
  }
  const auto view = [&](double *data) { return at::from_blob(data, {count}, at::kDouble); };
  at::Tensor error = view(work.error), exponential = view(work.exponential);
  at::erf_out(error, view(work.root));
  exponential.exp_();
  add_terms(count, sign, work.argument, work.root, work.error, work.exponential, width, stride, values, slopes);
}

}  // namespace

void pair_values(std::int64_t count, const double *squared, const double *widths, double smearing, double *values,
                 double *slopes) {
  static thread_local Work work;
  std::fill_n(values, count, 0.0);
  std::fill_n(slopes, count, 0.0);
  for (std::int64_t start = 0; start < count; start += chunk) {
    const std::int64_t size = std::min(chunk, count - start);
    add_kernel(work, size, 1.0, squared + start, widths + start, 1, values + start, slopes + start);
    if (smearing > 0.0) add_kernel(work, size, -1.0, squared + start, &smearing, 0, values + start, slopes + start);
  }
}

double self_value(double width, double smearing) {
  const double own = 1.0 / (std::sqrt(2.0) * width);
  return coulomb_constant * std::sqrt(2.0 / pi) * (smearing > 0.0 ? own - 1.0 / smearing : own);
}

}  // namespace mhdnn::electrostatics
