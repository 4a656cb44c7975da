#include "real_space.h"

#include <algorithm>
#include <cmath>

#include "gaussians.h"
#include "threads.h"

namespace mhdnn::electrostatics {
namespace {

constexpr std::int64_t rows_at_once = 32;
constexpr std::int64_t rows_worth_a_thread = 64;

double sum_of_products(std::int64_t count, const double* values, const std::int32_t* atom, const double* q) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t pair = 0; pair < count; ++pair) sum += values[pair] * q[atom[pair]];
    return sum;
}

}  // namespace

RealSpace::RealSpace(Neighbors neighbors, const std::vector<double>& widths, double smearing)
    : neighbors_(std::move(neighbors)), values_(neighbors_.num_pairs()), slopes_(neighbors_.num_pairs()),
      self_(neighbors_.rows.count) {
    evaluate(widths, smearing);
}

// Several rows at once, for long vectors.
void RealSpace::evaluate(const std::vector<double>& widths, double smearing) {
    const std::int64_t num_blocks = (neighbors_.rows.count + rows_at_once - 1) / rows_at_once;
    const int num_threads = most_threads();
    std::vector<std::vector<double>> squared(num_threads), gamma(num_threads);
    for_each_piece(num_blocks, num_threads, [&](int thread, std::int64_t block) {
        const std::int64_t end = std::min((block + 1) * rows_at_once, neighbors_.rows.count);
        const std::int64_t start = neighbors_.starts[block * rows_at_once], count = neighbors_.starts[end] - start;
        squared[thread].resize(count);
        gamma[thread].resize(count);
        double *const squares = squared[thread].data(), *const widths_of_pairs = gamma[thread].data();
        for (std::int64_t row = block * rows_at_once; row < end; ++row) {
            self_[row] = self_value(widths[neighbors_.rows.first + row], smearing);
            measure(row, widths, squares - start, widths_of_pairs - start);
        }
        pair_values(count, squares, widths_of_pairs, smearing, values_.data() + start, slopes_.data() + start);
    });
}

// Squared distances and widths of the pairs of a row.
void RealSpace::measure(std::int64_t row, const std::vector<double>& widths, double* squared, double* gamma) const {
    const double own = widths[neighbors_.rows.first + row];
    const double* const width = widths.data();
    const std::int32_t* const atom = neighbors_.atom.data();
    const std::int64_t end = neighbors_.starts[row + 1];
#pragma omp simd
    for (std::int64_t pair = neighbors_.starts[row]; pair < end; ++pair) {
        const Vector3 vector = neighbors_.vector(row, pair);
        squared[pair] = dot(vector, vector);
        gamma[pair] = std::sqrt(own * own + width[atom[pair]] * width[atom[pair]]);
    }
}

void RealSpace::add_product(const std::vector<double>& charges, Rows own, double* result) const {
    const std::int64_t skipped = own.first - neighbors_.rows.first;
    const double *const values = values_.data(), *const q = charges.data();
    const std::int32_t* const atom = neighbors_.atom.data();
    for_each_of(own.count, rows_worth_a_thread, [&](std::int64_t local) {
        const std::int64_t row = skipped + local;
        const std::int64_t start = neighbors_.starts[row], count = neighbors_.starts[row + 1] - start;
        result[local] +=
            self_[row] * q[neighbors_.rows.first + row] + sum_of_products(count, values + start, atom + start, q);
    });
}

void RealSpace::add_to_matrix(double* matrix) const {
    const std::int64_t size = neighbors_.rows.count;
    for (std::int64_t row = 0; row < size; ++row) {
        matrix[row * size + row] += self_[row];
        for (std::int64_t pair = neighbors_.starts[row]; pair < neighbors_.starts[row + 1]; ++pair)
            matrix[row * size + neighbors_.atom[pair]] += values_[pair];
    }
}

void RealSpace::add_moved_product(
    const Motion& motion, const std::vector<double>& charges, Rows own, double* result) const {
    const std::int64_t skipped = own.first - neighbors_.rows.first;
    const double *const slopes = slopes_.data(), *const q = charges.data(), *const moved = motion.displacements.data();
    const std::int32_t* const atom = neighbors_.atom.data();
    const Matrix3& e = motion.strain;
    for_each_of(own.count, rows_worth_a_thread, [&](std::int64_t local) {
        const std::int64_t row = skipped + local;
        const Vector3 from = motion.displacement(neighbors_.rows.first + row);
        const std::int64_t start = neighbors_.starts[row], end = neighbors_.starts[row + 1];
        double sum = 0.0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t pair = start; pair < end; ++pair) {
            const Vector3 r = neighbors_.vector(row, pair);
            const double* const to = moved + 3 * atom[pair];
            const double along = r[0] * (to[0] - from[0]) + r[1] * (to[1] - from[1]) + r[2] * (to[2] - from[2]);
            const double stretched = r[0] * r[0] * e[0][0] + r[1] * r[1] * e[1][1] + r[2] * r[2] * e[2][2] +
                                     2.0 * (r[1] * r[2] * e[1][2] + r[0] * r[2] * e[0][2] + r[0] * r[1] * e[0][1]);
            sum += 2.0 * slopes[pair] * (along + stretched) * q[atom[pair]];
        }
        result[local] += sum;
    });
}

void RealSpace::add_derivatives(
    const std::vector<double>& p, const std::vector<double>& q, Rows own, Voigt& strain, Derivatives& result) const {
    const std::int64_t skipped = own.first - neighbors_.rows.first;
    const double *const left = p.data(), *const right = q.data(), *const slopes = slopes_.data();
    const std::int32_t* const others = neighbors_.atom.data();
    std::vector<Voigt> parts(own.count);
    for_each_of(own.count, rows_worth_a_thread, [&](std::int64_t local) {
        const std::int64_t row = skipped + local, atom = own.first + local;
        const std::int64_t start = neighbors_.starts[row], end = neighbors_.starts[row + 1];
        const double own_p = left[atom], own_q = right[atom];
        double x = 0.0, y = 0.0, z = 0.0, xx = 0.0, yy = 0.0, zz = 0.0, yz = 0.0, xz = 0.0, xy = 0.0;
#pragma omp simd reduction(+ : x, y, z, xx, yy, zz, yz, xz, xy)
        for (std::int64_t pair = start; pair < end; ++pair) {
            const Vector3 vector = neighbors_.vector(row, pair);
            const double weight = slopes[pair] * (own_p * right[others[pair]] + own_q * left[others[pair]]);
            const double wx = weight * vector[0], wy = weight * vector[1], wz = weight * vector[2];
            x -= 2.0 * wx;
            y -= 2.0 * wy;
            z -= 2.0 * wz;
            xx += wx * vector[0];
            yy += wy * vector[1];
            zz += wz * vector[2];
            yz += wy * vector[2];
            xz += wx * vector[2];
            xy += wx * vector[1];
        }
        result.positions[3 * local] += x;
        result.positions[3 * local + 1] += y;
        result.positions[3 * local + 2] += z;
        parts[local] = {xx, yy, zz, yz, xz, xy};
    });
    for (std::int64_t local = 0; local < own.count; ++local)
        for (int c = 0; c < 6; ++c) {
            strain[c] += parts[local][c];
            if (!result.strain_per_atom.empty()) result.strain_per_atom[6 * local + c] += parts[local][c];
        }
}

}  // namespace mhdnn::electrostatics
