// Symmetric matrices of which all elements are stored, row by row, and their Cholesky factors.
#pragma once

#include <cstdint>
#include <vector>

namespace mhdnn::electrostatics {

struct DenseMatrix {
    std::int64_t size = 0;
    std::vector<double> values;

    explicit DenseMatrix(std::int64_t size) : size(size), values(size * size, 0.0) {}
    double* row(std::int64_t i) { return values.data() + i * size; }
    const double* row(std::int64_t i) const { return values.data() + i * size; }
};

// Adds sign · B Bᵀ to rows and columns from `first` on; B: rows of `width` numbers from that row on. Only the lower
// triangle counts, what lies above it may be changed.
void add_square(
    DenseMatrix& matrix, std::int64_t first, const std::vector<double>& rows, std::int64_t width, double sign);

// L with L Lᵀ = A in the lower triangle, in place. Returns the smallest pivot relative to the diagonal; what is not
// positive definite has none, and gives zero or less.
double factorize(DenseMatrix& matrix);

// x with L Lᵀ x = b, in place.
void solve_factorized(const DenseMatrix& factor, std::vector<double>& x);

}  // namespace mhdnn::electrostatics
