#include "dense_matrix.h"

#include <algorithm>
#include <cmath>

#include "cpu/rows.h"
#include "lanes.h"
#include "threads.h"

namespace mhdnn::electrostatics {
namespace {

using Row = Lanes<double>;
constexpr std::int64_t lanes = Row::width;
constexpr std::int64_t panel = 64;  // columns that are eliminated together
constexpr std::int64_t rows_at_once = 4;
constexpr std::int64_t rows_worth_threads = 64;

// Columns of B in rows of lanes: place (block of lanes, k).
std::vector<Row> in_columns(const std::vector<double>& rows, std::int64_t width) {
    const auto count = static_cast<std::int64_t>(rows.size()) / width, blocks = (count + lanes - 1) / lanes;
    std::vector<Row> result(blocks * width);
    for_each_of(blocks, 32, [&](std::int64_t block) {
        std::int64_t numbers[lanes];
        for (int lane = 0; lane < lanes; ++lane) numbers[lane] = block * lanes + lane;
        const int some = static_cast<int>(std::min<std::int64_t>(lanes, count - block * lanes));
        cpu::load_rows(rows.data(), static_cast<int>(width), numbers, some, &result[block * width]);
    });
    return result;
}

// Rows i ... i + n - 1 of B times the columns of two blocks.
template <int n>
void add_tile(
    const double* rows, std::int64_t width, const Row* first, const Row* second, double sign, double* const* to,
    int num_columns) {
    Row sums[n][2];
    for (int i = 0; i < n; ++i) sums[i][0] = sums[i][1] = Row(0.0);
    for (std::int64_t k = 0; k < width; ++k)
        for (int i = 0; i < n; ++i) {
            const Row value(rows[i * width + k]);
            sums[i][0] = sums[i][0] + value * first[k];
            sums[i][1] = sums[i][1] + value * second[k];
        }
    for (int i = 0; i < n; ++i)
        for (int column = 0; column < num_columns; ++column)
            to[i][column] += sign * sums[i][column / lanes][column % lanes];
}

}  // namespace

void add_square(
    DenseMatrix& matrix, std::int64_t first, const std::vector<double>& rows, std::int64_t width, double sign) {
    const auto count = static_cast<std::int64_t>(rows.size()) / width;
    std::vector<Row> columns = in_columns(rows, width);
    columns.resize(columns.size() + width, Row(0.0));  // an odd number of blocks has an empty one beside the last
    const auto add_rows = [&](int, std::int64_t piece) {
        const std::int64_t start = piece * rows_at_once;
        const std::int64_t some = std::min(rows_at_once, count - start);
        for (std::int64_t column = 0; column < start + some; column += 2 * lanes) {
            double* to[rows_at_once];
            for (std::int64_t i = 0; i < some; ++i) to[i] = matrix.row(first + start + i) + first + column;
            const Row* const one = &columns[column / lanes * width];
            const int num_columns = static_cast<int>(std::min(2 * lanes, count - column));
            if (some == rows_at_once) {
                add_tile<rows_at_once>(&rows[start * width], width, one, one + width, sign, to, num_columns);
                continue;
            }
            for (std::int64_t i = 0; i < some; ++i)
                add_tile<1>(&rows[(start + i) * width], width, one, one + width, sign, to + i, num_columns);
        }
    };
    const int num_threads = count < rows_worth_threads ? 1 : most_threads();
    for_each_piece((count + rows_at_once - 1) / rows_at_once, num_threads, add_rows);
}

double factorize(DenseMatrix& matrix) {
    const std::int64_t size = matrix.size;
    std::vector<double> diagonal(size);
    for (std::int64_t i = 0; i < size; ++i) diagonal[i] = matrix.row(i)[i];
    double smallest = 1.0;
    const auto eliminate = [&matrix](std::int64_t start, std::int64_t end, std::int64_t i) {  // of row i
        double* const row = matrix.row(i);
        for (std::int64_t k = start; k < std::min(end, i + 1); ++k) {
            const double* const other = matrix.row(k);
            double sum = row[k];
#pragma omp simd reduction(- : sum)
            for (std::int64_t j = start; j < k; ++j) sum -= row[j] * other[j];
            row[k] = k < i ? sum / other[k] : sum;
        }
    };
    for (std::int64_t start = 0; start < size; start += panel) {
        const std::int64_t end = std::min(size, start + panel);
        for (std::int64_t i = start; i < end; ++i) {
            eliminate(start, end, i);
            double& pivot = matrix.row(i)[i];
            smallest = std::min(smallest, pivot / diagonal[i]);
            if (!(pivot > 0.0)) return std::isnan(pivot) ? 0.0 : std::min(pivot, 0.0);
            pivot = std::sqrt(pivot);
        }
        for_each_of(size - end, rows_worth_threads, [&](std::int64_t i) { eliminate(start, end, end + i); });
        std::vector<double> rows;
        for (std::int64_t i = end; i < size; ++i) rows.insert(rows.end(), matrix.row(i) + start, matrix.row(i) + end);
        if (end < size) add_square(matrix, end, rows, end - start, -1.0);
    }
    return smallest;
}

void solve_factorized(const DenseMatrix& factor, std::vector<double>& x) {
    for (std::int64_t i = 0; i < factor.size; ++i) {
        const double* const row = factor.row(i);
        double sum = x[i];
#pragma omp simd reduction(- : sum)
        for (std::int64_t k = 0; k < i; ++k) sum -= row[k] * x[k];
        x[i] = sum / row[i];
    }
    for (std::int64_t i = factor.size; i-- > 0;) {
        const double* const row = factor.row(i);
        const double value = x[i] /= row[i];
#pragma omp simd
        for (std::int64_t k = 0; k < i; ++k) x[k] -= row[k] * value;
    }
}

}  // namespace mhdnn::electrostatics
