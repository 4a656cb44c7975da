// Products of matrices with numbers in lanes: an atom in every lane, the matrix the same for all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lanes.h"

namespace mhdnn {

// A matrix, row by row.
template <class T>
struct Matrix {
    int num_rows = 0, num_columns = 0;
    std::vector<T> values;

    const T* row(int i) const { return values.data() + std::size_t(i) * num_columns; }

    Matrix transposed() const {
        Matrix result{num_columns, num_rows, std::vector<T>(values.size())};
        for (int i = 0; i < num_rows; ++i)
            for (int k = 0; k < num_columns; ++k) result.values[std::size_t(k) * num_rows + i] = row(i)[k];
        return result;
    }
};

template <int block, class T>
inline void multiply_rows(const Matrix<T>& matrix, int first, int begin, const Lanes<T>* x, Lanes<T>* y) {
    Lanes<T> sums[block];
    const T* rows[block];
    for (int i = 0; i < block; ++i) {
        sums[i] = y[first + i];
        rows[i] = matrix.row(first + i);
    }
    for (int k = begin; k < matrix.num_columns; ++k)
        for (int i = 0; i < block; ++i) sums[i] = sums[i] + x[k] * Lanes<T>(rows[i][k]);
    for (int i = 0; i < block; ++i) y[first + i] = sums[i];
}

// y += A x; of an upper triangle the zeros are left out.
template <bool is_upper = false, class T>
inline void add_product(const Matrix<T>& matrix, const Lanes<T>* x, Lanes<T>* y) {
    constexpr int block = 8;  // sums at a time, in registers
    const auto begin = [](int row) { return is_upper ? row : 0; };
    int first = 0;
    for (; first + block <= matrix.num_rows; first += block) multiply_rows<block>(matrix, first, begin(first), x, y);
    for (; first + 2 <= matrix.num_rows; first += 2) multiply_rows<2>(matrix, first, begin(first), x, y);
    for (; first < matrix.num_rows; ++first) multiply_rows<1>(matrix, first, begin(first), x, y);
}

// The sum of term(k) for all k below a number, in parts that need not wait for each other.
template <class T, class Term>
inline Lanes<T> sum_of(int number, Term term) {
    constexpr int num_parts = 4;
    Lanes<T> parts[num_parts] = {Lanes<T>(T(0)), Lanes<T>(T(0)), Lanes<T>(T(0)), Lanes<T>(T(0))};
    int k = 0;
    for (; k + num_parts <= number; k += num_parts)
        for (int part = 0; part < num_parts; ++part) parts[part] = parts[part] + term(k + part);
    for (; k < number; ++k) parts[0] = parts[0] + term(k);
    return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

// A matrix of few numbers that are not zero.
template <class T>
class SparseMatrix {
public:
    SparseMatrix() = default;
    explicit SparseMatrix(const Matrix<T>& full) : num_rows_(full.num_rows) {
        starts_.push_back(0);
        for (int i = 0; i < full.num_rows; ++i) {
            for (int k = 0; k < full.num_columns; ++k)
                if (full.row(i)[k] != T(0)) terms_.push_back({k, full.row(i)[k]});
            starts_.push_back(int(terms_.size()));
        }
    }

    int num_rows() const { return num_rows_; }

    // y = A x.
    void multiply(const Lanes<T>* x, Lanes<T>* y) const {
        for (int i = 0; i < num_rows_; ++i) {
            Lanes<T> sum(T(0));
            for (int t = starts_[i]; t < starts_[i + 1]; ++t)
                sum = sum + x[terms_[t].column] * Lanes<T>(terms_[t].value);
            y[i] = sum;
        }
    }

private:
    struct Term {
        int column;
        T value;
    };
    int num_rows_ = 0;
    std::vector<int> starts_;
    std::vector<Term> terms_;
};

}  // namespace mhdnn
