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

/// The lanes hold atoms everywhere else; here they hold densities, for the coefficients of a pair of elements then
/// stand side by side: in rows for each pair of elements and k, with empty places at the end.
template <class Real>
class Contraction {
public:
    using T = Scalar<Real>;
    static constexpr int width = Lanes<T>::width;

    Contraction(const DensityShape& shape, const Arguments<T>& arguments)
        : shape_(shape), rows_(row_length(shape.num_densities) / width), table_(gradient_size(shape) / width) {
        const int num_pairs = shape.num_elements * shape.num_elements;
        std::vector<T> values(gradient_size(shape), T(0)), tangents(values);
        const T* tangent = arguments.table_tangents;
        for (int pair = 0; pair < num_pairs; ++pair) {
            for (int n = 0; n < shape.num_densities; ++n) {
                for (int k = 0; k < shape.num_radial; ++k) {
                    const std::size_t from = (std::size_t(pair) * shape.num_densities + n) * shape.num_radial + k;
                    const std::size_t to = row_index(pair, k) * width + n;
                    values[to] = arguments.channel_table[from];
                    if (tangent != nullptr) tangents[to] = tangent[from];
                }
            }
        }
        for (std::size_t i = 0; i < table_.size(); ++i) {
            table_[i] = with_tangent<Real>(load(values.data() + i * width), load(tangents.data() + i * width));
        }
        if (shape.num_elements > 1) return;
        for (int n = 0; n < shape.num_densities; ++n) {
            for (int k = 0; k < shape.num_radial; ++k) {
                uniform_.push_back(broadcast(table_[row_index(0, k) + n / width], n % width));
            }
        }
    }

    /// density_n = sum_k c_nk radial_k, with the coefficients of the pair of elements of each lane.
    void apply(const int* pair, const Real* radial, Real* density) const {
        if (shape_.num_elements == 1) return apply_to_all(radial, density);
        Real square[width];
        for (int r = 0; r < rows_; ++r) {
            for (int lane = 0; lane < width; ++lane) {
                const Real* table = table_.data() + row_index(pair[lane], 0) + r;
                Real value = table[0] * broadcast(radial[0], lane);
                for (int k = 1; k < shape_.num_radial; ++k) {
                    value = value + table[k * rows_] * broadcast(radial[k], lane);
                }
                square[lane] = value;
            }
            transpose_square(square);
            std::copy(square, square + row_size(r), density + r * width);
        }
    }

    /// Adds the gradient by the coefficients to its rows, from the gradients by the densities of a neighbour.
    void add_gradient(const int* pair, const Real* by_density, const Real* radial, T* gradient) const {
        Real square[width];
        std::fill(square, square + width, constant<Real>(T(0)));
        for (int r = 0; r < rows_; ++r) {
            std::copy(by_density + r * width, by_density + r * width + row_size(r), square);
            transpose_square(square);
            for (int lane = 0; lane < width; ++lane) {
                T* out = gradient + (row_index(pair[lane], 0) + r) * width;
                for (int k = 0; k < shape_.num_radial; ++k) {
                    const Lanes<T> row = load(out) + result(square[lane] * broadcast(radial[k], lane));
                    std::memcpy(out, &row, sizeof(row));
                    out += rows_ * width;
                }
            }
        }
    }

    static int row_length(int num_densities) { return (num_densities + width - 1) / width * width; }
    /// Numbers in the rows of all coefficients.
    static std::size_t gradient_size(const DensityShape& shape) {
        return std::size_t(shape.num_elements) * shape.num_elements * shape.num_radial * row_length(shape.num_densities);
    }

private:
    /// With one element, all lanes have the same coefficients.
    void apply_to_all(const Real* radial, Real* density) const {
        for (int n = 0; n < shape_.num_densities; ++n) {
            const Real* row = uniform_.data() + n * shape_.num_radial;
            Real value = row[0] * radial[0];
            for (int k = 1; k < shape_.num_radial; ++k) value = value + row[k] * radial[k];
            density[n] = value;
        }
    }

    static Lanes<T> load(const T* numbers) {
        Lanes<T> row;
        std::memcpy(&row, numbers, sizeof(row));
        return row;
    }
    int row_size(int r) const { return std::min(width, shape_.num_densities - r * width); }
    std::size_t row_index(int pair, int k) const { return (std::size_t(pair) * shape_.num_radial + k) * rows_; }

    DensityShape shape_;
    int rows_;
    std::vector<Real> table_, uniform_;
};

}  // namespace mhdnn::cpu
