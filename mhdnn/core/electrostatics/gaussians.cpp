#include "gaussians.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "lanes.h"
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

// erf(x) = 1 - exp(-x²) g(x) for x >= 1. Of g only what lies below `largest` counts, where a Chebyshev series of
// t, -1 <= t <= 1, is exact to the last digits of erf.
class ErrorFunction {
public:
    ErrorFunction() {
        std::array<double, size> values;
        for (int i = 0; i < size; ++i) {
            const double t = std::cos(pi * (i + 0.5) / size);
            const double x = middle * (1.0 + t * highest) / (1.0 - t * highest);
            values[i] = std::exp(x * x) * std::erfc(x);
        }
        for (int n = 0; n < size; ++n) {
            double sum = 0.0;
            for (int i = 0; i < size; ++i) sum += values[i] * std::cos(pi * n * (i + 0.5) / size);
            coefficients_[n] = (n == 0 ? 1.0 : 2.0) / size * sum;
        }
    }

    // exponential: exp(-x²).
    Lanes<double> operator()(Lanes<double> x, Lanes<double> exponential) const {
        using Row = Lanes<double>;
        x = -at_least(-x, -largest);
        const Row t = (x - Row(middle)) * inverse(x + Row(middle)) * Row(1.0 / highest), twice = t + t;
        Row one(0.0), two(0.0);  // Clenshaw's recursion
        for (int n = size - 1; n > 0; --n) {
            const Row next = Row(coefficients_[n]) + twice * one - two;
            two = one;
            one = next;
        }
        return Row(1.0) - exponential * (Row(coefficients_[0]) + t * one - two);
    }

private:
    static constexpr int size = 26;
    static constexpr double largest = 6.25, middle = 2.5;  // middle² = smallest · largest
    static constexpr double highest = (largest - middle) / (largest + middle);
    std::array<double, size> coefficients_;
};

struct Work {
    double inverse_width[chunk], argument[chunk], inverse_root[chunk], error[chunk], exponential[chunk];
};

// Arguments T = r²/2γ², and error function and exponential of max(T, 1).
void prepare(Work& work, std::int64_t count, const double* squared) {
#pragma omp simd
    for (std::int64_t pair = 0; pair < count; ++pair) {
        const double inverse = work.inverse_width[pair];
        work.argument[pair] = 0.5 * squared[pair] * inverse * inverse;
        const double clamped = std::max(work.argument[pair], series_below);
        work.error[pair] = std::sqrt(clamped);
        work.inverse_root[pair] = 1.0 / work.error[pair];
        work.exponential[pair] = -clamped;
    }
    static const ErrorFunction error_function;
    using Row = Lanes<double>;
    for (std::int64_t pair = 0; pair < count; pair += Row::width) {  // a whole number of rows fits into the chunk
        Row root, exponent;
        std::memcpy(&root, work.error + pair, sizeof(Row));
        std::memcpy(&exponent, work.exponential + pair, sizeof(Row));
        const Row decay = exponential(exponent), value = error_function(root, decay);
        std::memcpy(work.exponential + pair, &decay, sizeof(Row));
        std::memcpy(work.error + pair, &value, sizeof(Row));
    }
}

// Adds sign k_e φ and its slope -sign k_e φ_1.
void add_terms(const Work& work, std::int64_t count, double sign, double* values, double* slopes) {
    const double scale = sign * coulomb_constant * std::sqrt(2.0 / pi);
    const auto boys = [&](std::int64_t pair) {
        const double zeroth = 0.5 * std::sqrt(pi) * work.error[pair] * work.inverse_root[pair];
        return Boys{
            zeroth, 0.5 * (zeroth - work.exponential[pair]) * work.inverse_root[pair] * work.inverse_root[pair]};
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

void pair_values(
    std::int64_t count, const double* squared, const double* widths, double smearing, double* values, double* slopes) {
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
