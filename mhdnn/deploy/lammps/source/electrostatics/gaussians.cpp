#include "gaussians.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

constexpr double series_below = 1.0;  // the upward recursion of Boys functions loses digits there
constexpr int num_terms = 20;
constexpr std::int64_t chunk = 2048;  // of pairs; what they need in between stays in the cache

// F_1(T) exp(T) = sum_k (2T)^k / (3 5 ... (2k+3)): coefficients of the powers of T.
std::array<double, num_terms> series_coefficients() {
  std::array<double, num_terms> result;
  double coefficient = 1.0 / 3.0;
  for (int k = 0; k < num_terms; ++k) {
    result[k] = coefficient;
    coefficient *= 2.0 / (2 * k + 5);
  }
  return result;
}

struct Boys {
  double zeroth, first;
};

// F_0 and F_1 of small arguments.
Boys boys_series(double argument) {
  static const auto coefficients = series_coefficients();
  double sum = 0.0;
  for (int k = num_terms - 1; k >= 0; --k) sum = sum * argument + coefficients[k];
  const double exponential = std::exp(-argument);
  return {exponential * (2.0 * argument * sum + 1.0), exponential * sum};
}

struct Work {
  double inverse_width[chunk], argument[chunk], inverse_root[chunk], error[chunk], exponential[chunk];
};

// Arguments T = r²/2γ², and error function and exponential of max(T, 1).
void prepare(Work &work, std::int64_t count, const double *squared) {
#pragma omp simd
  for (std::int64_t pair = 0; pair < count; ++pair) {
    const double inverse = work.inverse_width[pair];
    work.argument[pair] = 0.5 * squared[pair] * inverse * inverse;
    const double clamped = std::max(work.argument[pair], series_below);
    work.error[pair] = std::sqrt(clamped);
    work.inverse_root[pair] = 1.0 / work.error[pair];
    work.exponential[pair] = -clamped;
  }
  at::from_blob(work.error, {count}, at::kDouble).erf_();
  at::from_blob(work.exponential, {count}, at::kDouble).exp_();
}

// Adds sign k_e φ and its slope -sign k_e φ_1.
void add_terms(const Work &work, std::int64_t count, double sign, double *values, double *slopes) {
  const double scale = sign * coulomb_constant * std::sqrt(2.0 / pi);
  const auto boys = [&](std::int64_t pair) {
    const double zeroth = 0.5 * std::sqrt(pi) * work.error[pair] * work.inverse_root[pair];
    return Boys{zeroth, 0.5 * (zeroth - work.exponential[pair]) * work.inverse_root[pair] * work.inverse_root[pair]};
  };
  const auto add = [&](std::int64_t pair, double zeroth, double first) {
    const double inverse = work.inverse_width[pair];
    values[pair] += scale * inverse * zeroth;
    slopes[pair] -= 0.5 * scale * inverse * inverse * inverse * first;
  };
#pragma omp simd
  for (std::int64_t pair = 0; pair < count; ++pair) {
    const Boys known = boys(pair);
    add(pair, known.zeroth, known.first);
  }
  for (std::int64_t pair = 0; pair < count; ++pair) {
    if (work.argument[pair] >= series_below) continue;
    const Boys wrong = boys(pair), right = boys_series(work.argument[pair]);
    add(pair, right.zeroth - wrong.zeroth, right.first - wrong.first);
  }
}

}  // namespace

void pair_values(std::int64_t count, const double *squared, const double *widths, double smearing, double *values,
                 double *slopes) {
  static thread_local Work work;
  std::fill_n(values, count, 0.0);
  std::fill_n(slopes, count, 0.0);
  for (std::int64_t start = 0; start < count; start += chunk) {
    const std::int64_t size = std::min(chunk, count - start);
    for (std::int64_t pair = 0; pair < size; ++pair) work.inverse_width[pair] = 1.0 / widths[start + pair];
    prepare(work, size, squared + start);
    add_terms(work, size, 1.0, values + start, slopes + start);
    if (smearing == 0.0) continue;
    std::fill_n(work.inverse_width, size, 1.0 / smearing);
    prepare(work, size, squared + start);
    add_terms(work, size, -1.0, values + start, slopes + start);
  }
}

double self_value(double width, double smearing) {
  const double own = 1.0 / (std::sqrt(2.0) * width);
  return coulomb_constant * std::sqrt(2.0 / pi) * (smearing > 0.0 ? own - 1.0 / smearing : own);
}

}  // namespace mhdnn::electrostatics
