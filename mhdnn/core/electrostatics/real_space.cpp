#include "real_space.h"

#include <algorithm>
#include <cmath>

#include "gaussians.h"
#include "threads.h"

namespace mhdnn::electrostatics {
namespace {

constexpr std::int64_t rows_worth_a_thread = 64;
constexpr std::size_t most_kinds = 16;  // of atoms, for which pairs are interpolated

double sum_of_products(std::int64_t count, const double* values, const std::int32_t* place, const double* q) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t pair = 0; pair < count; ++pair) sum += values[pair] * q[place[pair]];
    return sum;
}

}  // namespace

std::vector<char> silent_atoms(const std::vector<double>& widths, double smearing) {
    std::vector<char> result;
    for (const double width : widths) result.push_back(std::sqrt(2.0) * width == smearing ? 1 : 0);
    return result;
}

RealSpace::RealSpace(Neighbors neighbors, const std::vector<double>& widths, double smearing)
    : neighbors_(std::move(neighbors)), values_(std::move(neighbors_.squared)), slopes_(values_.size()),
      self_(neighbors_.rows.count) {
    for (std::int64_t row = 0; row < neighbors_.rows.count; ++row)
        self_[row] = self_value(widths[neighbors_.rows.first + row], smearing);
    evaluate(widths, smearing);
}

// Of the squares, which are in the place of the values.
void RealSpace::evaluate(const std::vector<double>& widths, double smearing) {
    std::int64_t num_pairs = 0;
    for (const auto count : neighbors_.counts) num_pairs += count;
    const Kinds kinds(widths);
    if (kinds.widths.size() <= most_kinds && num_pairs >= PairFunctions::cost(kinds.widths.size()))
        return interpolate(kinds, smearing);
    const auto width_of_place = neighbors_.images.spread(widths);
    std::vector<std::vector<double>> work(most_threads());
    for_each_piece(neighbors_.rows.count, most_threads(), [&](int thread, std::int64_t row) {
        const std::int64_t start = neighbors_.starts[row], count = neighbors_.counts[row];
        auto& gamma = work[thread];
        gamma.resize(2 * count);
        std::copy_n(&values_[start], count, gamma.data() + count);
        for (std::int64_t pair = 0; pair < count; ++pair)
            gamma[pair] =
                width_of_pair(widths[neighbors_.rows.first + row], width_of_place[neighbors_.place[start + pair]]);
        pair_values(count, gamma.data() + count, gamma.data(), smearing, &values_[start], &slopes_[start]);
    });
}

void RealSpace::interpolate(const Kinds& kinds, double smearing) {
    const PairFunctions functions(kinds.widths, smearing, neighbors_.largest_squared);
    std::vector<std::int32_t> kind_of_place(neighbors_.images.count());
    for (std::size_t place = 0; place < kind_of_place.size(); ++place)
        kind_of_place[place] = kinds.kind[neighbors_.images.atom[place]];
    for_each_of(neighbors_.rows.count, rows_worth_a_thread, [&](std::int64_t row) {
        const std::int64_t start = neighbors_.starts[row];
        double* const values = values_.data() + start;
        functions.evaluate(
            kinds.kind[neighbors_.rows.first + row], neighbors_.counts[row], neighbors_.place.data() + start,
            kind_of_place.data(), values, values, slopes_.data() + start);
    });
}

void RealSpace::add_product(const std::vector<double>& charges, Rows own, double* result) const {
    const std::int64_t skipped = own.first - neighbors_.rows.first;
    const auto of_places = neighbors_.images.spread(charges);
    const double *const values = values_.data(), *const q = of_places.data();
    const std::int32_t* const place = neighbors_.place.data();
    for_each_of(own.count, rows_worth_a_thread, [&](std::int64_t local) {
        const std::int64_t row = skipped + local, start = neighbors_.starts[row];
        result[local] += self_[row] * charges[neighbors_.rows.first + row] +
                         sum_of_products(neighbors_.counts[row], values + start, place + start, q);
    });
}

void RealSpace::add_to_matrix(double* matrix) const {
    const std::int64_t size = neighbors_.rows.count;
    for (std::int64_t row = 0; row < size; ++row) {
        matrix[row * size + row] += self_[row];
        const std::int64_t start = neighbors_.starts[row];
        for (std::int64_t pair = start; pair < start + neighbors_.counts[row]; ++pair)
            matrix[row * size + neighbors_.images.atom[neighbors_.place[pair]]] += values_[pair];
    }
}

void RealSpace::add_moved_product(
    const Motion& motion, const std::vector<double>& charges, Rows own, double* result) const {
    const std::int64_t skipped = own.first - neighbors_.rows.first;
    const double *const slopes = slopes_.data(), *const q = charges.data(), *const moved = motion.displacements.data();
    const std::int32_t *const place = neighbors_.place.data(), *const atom = neighbors_.images.atom.data();
    const Matrix3& e = motion.strain;
    for_each_of(own.count, rows_worth_a_thread, [&](std::int64_t local) {
        const std::int64_t row = skipped + local;
        const Vector3 from = motion.displacement(neighbors_.rows.first + row);
        const std::int64_t from_place = neighbors_.own_place(row);
        const std::int64_t start = neighbors_.starts[row], end = start + neighbors_.counts[row];
        double sum = 0.0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t pair = start; pair < end; ++pair) {
            const Vector3 r = neighbors_.vector(from_place, pair);
            const std::int64_t other = atom[place[pair]];
            const double* const to = moved + 3 * other;
            const double along = r[0] * (to[0] - from[0]) + r[1] * (to[1] - from[1]) + r[2] * (to[2] - from[2]);
            const double stretched = r[0] * r[0] * e[0][0] + r[1] * r[1] * e[1][1] + r[2] * r[2] * e[2][2] +
                                     2.0 * (r[1] * r[2] * e[1][2] + r[0] * r[2] * e[0][2] + r[0] * r[1] * e[0][1]);
            sum += 2.0 * slopes[pair] * (along + stretched) * q[other];
        }
        result[local] += sum;
    });
}

void RealSpace::add_derivatives(
    const std::vector<double>& p, const std::vector<double>& q, Rows own, Voigt& strain, Derivatives& result) const {
    const std::int64_t skipped = own.first - neighbors_.rows.first;
    const auto p_of_places = neighbors_.images.spread(p), q_of_places = neighbors_.images.spread(q);
    const double *const left = p_of_places.data(), *const right = q_of_places.data(), *const slopes = slopes_.data();
    const std::int32_t* const places = neighbors_.place.data();
    std::vector<Voigt> parts(own.count);
    for_each_of(own.count, rows_worth_a_thread, [&](std::int64_t local) {
        const std::int64_t row = skipped + local, from = neighbors_.own_place(row);
        const std::int64_t start = neighbors_.starts[row], end = start + neighbors_.counts[row];
        const double own_p = left[from], own_q = right[from];
        double x = 0.0, y = 0.0, z = 0.0, xx = 0.0, yy = 0.0, zz = 0.0, yz = 0.0, xz = 0.0, xy = 0.0;
#pragma omp simd reduction(+ : x, y, z, xx, yy, zz, yz, xz, xy)
        for (std::int64_t pair = start; pair < end; ++pair) {
            const Vector3 vector = neighbors_.vector(from, pair);
            const double weight = slopes[pair] * (own_p * right[places[pair]] + own_q * left[places[pair]]);
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
