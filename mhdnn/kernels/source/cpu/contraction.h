// Sums over radial functions with coefficients that are others in every lane.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "../arguments.h"
#include "../densities.h"
#include "../lanes.h"

namespace mhdnn::cpu {

/// The lane of a number in all lanes.
template <class T>
inline Lanes<T> broadcast(const Lanes<T>& x, int lane) {
    return Lanes<T>(x[lane]);
}
template <class R>
inline Dual<R> broadcast(const Dual<R>& x, int lane) {
    return {broadcast(x.value, lane), broadcast(x.tangent, lane)};
}

/// Exchanges rows and columns of as many numbers in lanes as there are lanes.
template <class T>
inline void transpose_square(Lanes<T>* rows) {
    transpose(rows);
}
template <class T>
inline void transpose_square(Dual<Lanes<T>>* rows) {
    constexpr int width = Lanes<T>::width;
    Lanes<T> values[width], tangents[width];
    for (int i = 0; i < width; ++i) {
        values[i] = rows[i].value;
        tangents[i] = rows[i].tangent;
    }
    transpose(values);
    transpose(tangents);
    for (int i = 0; i < width; ++i) rows[i] = {values[i], tangents[i]};
}

template <class T>
inline Lanes<T> lanes_at(const T* numbers) {
    Lanes<T> row;
    std::memcpy(&row, numbers, sizeof(row));
    return row;
}

/// Adds to numbers that need not be aligned.
template <class T>
inline void add_at(T* numbers, Lanes<T> more) {
    const Lanes<T> sum = lanes_at(numbers) + more;
    std::memcpy(numbers, &sum, sizeof(sum));
}

/// Rows of lanes that hold `count` numbers, with empty places at the end.
template <class T>
constexpr int num_rows(int count) {
    return (count + Lanes<T>::width - 1) / Lanes<T>::width;
}

/// The lanes hold atoms everywhere else; in these rows they hold densities (or radial functions), for the coefficients
/// of a pair of elements then stand side by side: rows for each pair of elements and k (or n).
template <class Real>
class CoefficientRows {
public:
    using T = Scalar<Real>;
    static constexpr int width = Lanes<T>::width;
    enum class Across { densities, radial };

    CoefficientRows(const DensityShape& shape, const Arguments<T>& arguments, Across across)
        : rows_(num_rows<T>(across == Across::densities ? shape.num_densities : shape.num_radial)),
          per_pair_(across == Across::densities ? shape.num_radial : shape.num_densities) {
        const std::size_t num_pairs = std::size_t(shape.num_elements) * shape.num_elements;
        std::vector<T> values(num_pairs * per_pair_ * rows_ * width, T(0)), tangents(values);
        for (std::size_t pair = 0; pair < num_pairs; ++pair) {
            for (int n = 0; n < shape.num_densities; ++n) {
                for (int k = 0; k < shape.num_radial; ++k) {
                    const std::size_t from = (pair * shape.num_densities + n) * shape.num_radial + k;
                    const int row = across == Across::densities ? k : n, place = across == Across::densities ? n : k;
                    const std::size_t to = (pair * per_pair_ + row) * rows_ * width + place;
                    values[to] = arguments.channel_table[from];
                    if (arguments.table_tangents != nullptr) tangents[to] = arguments.table_tangents[from];
                }
            }
        }
        table_.resize(values.size() / width);
        for (std::size_t i = 0; i < table_.size(); ++i) {
            table_[i] = with_tangent<Real>(lanes_at(values.data() + i * width), lanes_at(tangents.data() + i * width));
        }
    }

    /// Rows of k = 0 (or n = 0) of a pair of elements; the next ones follow.
    const Real* of_pair(std::size_t pair) const { return table_.data() + pair * per_pair_ * rows_; }
    int rows() const { return rows_; }

private:
    int rows_, per_pair_;
    std::vector<Real> table_;
};

/// Numbers of the coefficients' gradient, in rows of densities for each pair of elements and k.
template <class T>
std::size_t coefficient_gradient_size(const DensityShape& shape) {
    return std::size_t(shape.num_elements) * shape.num_elements * shape.num_radial * num_rows<T>(shape.num_densities) *
           Lanes<T>::width;
}

/// Densities of a neighbour in each lane.
template <class Real>
class Contraction {
public:
    using T = Scalar<Real>;
    static constexpr int width = Lanes<T>::width;

    Contraction(const DensityShape& shape, const Arguments<T>& arguments)
        : shape_(shape), table_(shape, arguments, CoefficientRows<Real>::Across::densities) {
        if (shape.num_elements > 1) return;
        for (int n = 0; n < shape.num_densities; ++n) {
            for (int k = 0; k < shape.num_radial; ++k) {
                const Real* row = table_.of_pair(0) + k * table_.rows();
                uniform_.push_back(broadcast(row[n / width], n % width));
            }
        }
    }

    /// density_n = sum_k c_nk radial_k, with the coefficients of the pair of elements of each lane.
    void apply(const int* pair, const Real* radial, Real* density) const {
        if (shape_.num_elements == 1) return apply_to_all(radial, density);
        const int rows = table_.rows();
        Real square[width];
        for (int r = 0; r < rows; ++r) {
            for (int lane = 0; lane < width; ++lane) {
                const Real* table = table_.of_pair(pair[lane]) + r;
                Real value = table[0] * broadcast(radial[0], lane);
                for (int k = 1; k < shape_.num_radial; ++k)
                    value = value + table[k * rows] * broadcast(radial[k], lane);
                square[lane] = value;
            }
            transpose_square(square);
            std::copy(square, square + row_size(r), density + r * width);
        }
    }

    /// Adds the gradient by the coefficients to its rows, from the gradients by the densities of a neighbour.
    void add_gradient(const int* pair, const Real* by_density, const Real* radial, T* gradient) const {
        const int rows = table_.rows();
        Real square[width];
        std::fill(square, square + width, constant<Real>(T(0)));
        for (int r = 0; r < rows; ++r) {
            std::copy(by_density + r * width, by_density + r * width + row_size(r), square);
            transpose_square(square);
            for (int lane = 0; lane < width; ++lane) {
                T* out = gradient + (std::size_t(pair[lane]) * shape_.num_radial * rows + r) * width;
                for (int k = 0; k < shape_.num_radial; ++k) {
                    add_at(out + std::size_t(k) * rows * width, result(square[lane] * broadcast(radial[k], lane)));
                }
            }
        }
    }

private:
    /// With one element, all lanes have the same coefficients.
    void apply_to_all(const Real* radial, Real* density) const {
        constexpr int block = 4;  // sums at a time
        const int num_densities = shape_.num_densities, num_radial = shape_.num_radial;
        for (int first = 0; first < num_densities; first += block) {
            const Real* rows[block];
            Real values[block];
            for (int i = 0; i < block; ++i) {
                rows[i] = uniform_.data() + std::min(first + i, num_densities - 1) * num_radial;
                values[i] = rows[i][0] * radial[0];
            }
            for (int k = 1; k < num_radial; ++k) {
                for (int i = 0; i < block; ++i) values[i] = values[i] + rows[i][k] * radial[k];
            }
            std::copy(values, values + std::min(block, num_densities - first), density + first);
        }
    }

    int row_size(int r) const { return std::min(width, shape_.num_densities - r * width); }

    DensityShape shape_;
    CoefficientRows<Real> table_;
    std::vector<Real> uniform_;
};

}  // namespace mhdnn::cpu
