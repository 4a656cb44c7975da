// Sums of radial functions over the neighbours of each element, by which moments of degree zero are made at once for an
// atom instead of for every neighbour:
//
//     S_k^b = sum_(j of element b) f_k(r_ij),    A^n = sum_b,k c_nk^ab S_k^b,    dE/df_k = w_k^b = sum_n c_nk^ab h_n
//
// with h the gradient by the moments.
#pragma once

#include "contraction.h"
#include "neighborhood.h"

namespace mhdnn::cpu {

/// With one element: atoms in the lanes.
template <class Real>
class UniformSums {
public:
    using T = Scalar<Real>;
    static constexpr int width = Lanes<T>::width;

    UniformSums(const DensityShape& shape, const Arguments<T>& arguments)
        : shape_(shape), sums_(shape.num_radial), weights_(shape.num_radial) {
        const CoefficientRows<Real> table(shape, arguments, CoefficientRows<Real>::Across::densities);
        for (int n = 0; n < shape.num_densities; ++n) {
            for (int k = 0; k < shape.num_radial; ++k) {
                coefficients_.push_back(broadcast(table.of_pair(0)[k * table.rows() + n / width], n % width));
            }
        }
    }

    void begin(const Neighborhood<Real>&, const Lanes<T>* by_moments) {
        std::fill(sums_.begin(), sums_.end(), constant<Real>(T(0)));
        if (by_moments == nullptr) return;
        std::fill(weights_.begin(), weights_.end(), constant<Real>(T(0)));
        for (int n = 0; n < shape_.num_densities; ++n) {
            for (int k = 0; k < shape_.num_radial; ++k) {
                weights_[k] = weights_[k] + coefficients_[n * shape_.num_radial + k] * by_moments[n];
            }
        }
    }

    /// The neighbours of a place.
    void choose(int) {}
    void add(const Real* radial) {
        for (int k = 0; k < shape_.num_radial; ++k) sums_[k] = sums_[k] + radial[k];
    }
    const Real* weights() { return weights_.data(); }

    void moments(Lanes<T>* moments) const {
        for (int n = 0; n < shape_.num_densities; ++n) {
            Real total = constant<Real>(T(0));
            for (int k = 0; k < shape_.num_radial; ++k) {
                total = total + coefficients_[n * shape_.num_radial + k] * sums_[k];
            }
            moments[n] = result(total);
        }
    }

    /// The coefficients' gradient, in the rows of `Contraction`.
    void gradient(const Lanes<T>* by_moments, T* gradient) const {
        const int row = num_rows<T>(shape_.num_densities) * width;
        for (int k = 0; k < shape_.num_radial; ++k) {
            for (int n = 0; n < shape_.num_densities; ++n) {
                gradient[k * row + n] = sum(by_moments[n] * result(sums_[k]));
            }
        }
    }

private:
    DensityShape shape_;
    std::vector<Real> coefficients_, sums_, weights_;
};

/// With more: radial functions in the lanes of rows for each atom and element.
template <class Real>
class ElementSums {
public:
    using T = Scalar<Real>;
    static constexpr int width = Lanes<T>::width;
    using Across = typename CoefficientRows<Real>::Across;

    ElementSums(const DensityShape& shape, const Arguments<T>& arguments)
        : shape_(shape), arguments_(arguments), across_densities_(shape, arguments, Across::densities),
          across_radial_(shape, arguments, Across::radial),
          sums_(std::size_t(width) * shape.num_elements * across_radial_.rows()), weights_(sums_.size()),
          chosen_(across_radial_.rows() * width) {}

    void begin(const Neighborhood<Real>& neighbors, const Lanes<T>* by_moments) {
        neighbors_ = &neighbors;
        std::fill(sums_.begin(), sums_.end(), constant<Real>(T(0)));
        for (int lane = 0; lane < width; ++lane) {
            const std::int64_t center =
                lane < neighbors.num_atoms() ? arguments_.center_element[neighbors.atom(lane)] : 0;
            first_pair_[lane] = int(center) * shape_.num_elements;
        }
        if (by_moments != nullptr) make_weights(by_moments);
    }

    void choose(int place) {
        for (int lane = 0; lane < width; ++lane) {
            const std::int64_t pair = lane < neighbors_->num_atoms() ? neighbors_->pair(place, lane) : -1;
            const int element = pair < 0 ? 0 : int(arguments_.neighbor_element[pair]);  // an empty place adds nothing
            row_[lane] = (lane * shape_.num_elements + element) * across_radial_.rows();
        }
    }

    void add(const Real* radial) {
        Real square[width];
        std::fill(square, square + width, constant<Real>(T(0)));
        for (int r = 0; r < across_radial_.rows(); ++r) {
            std::copy(radial + r * width, radial + r * width + row_size(shape_.num_radial, r), square);
            transpose_square(square);
            for (int lane = 0; lane < width; ++lane) sums_[row_[lane] + r] = sums_[row_[lane] + r] + square[lane];
        }
    }

    const Real* weights() {
        for (int r = 0; r < across_radial_.rows(); ++r) {
            Real* square = chosen_.data() + r * width;
            for (int lane = 0; lane < width; ++lane) square[lane] = weights_[row_[lane] + r];
            transpose_square(square);
        }
        return chosen_.data();
    }

    void moments(Lanes<T>* moments) const {
        const int rows = across_densities_.rows();
        Lanes<T> square[width];
        for (int r = 0; r < rows; ++r) {
            for (int lane = 0; lane < width; ++lane) {
                Lanes<T> total(T(0));
                for (int b = 0; b < shape_.num_elements; ++b) {
                    const Real* table = across_densities_.of_pair(first_pair_[lane] + b) + r;
                    for (int k = 0; k < shape_.num_radial; ++k) {
                        total = total + result(table[k * rows] * sum_of(lane, b, k));
                    }
                }
                square[lane] = total;
            }
            transpose(square);
            std::copy(square, square + row_size(shape_.num_densities, r), moments + r * width);
        }
    }

    /// The coefficients' gradient is added to the rows of `Contraction`.
    void gradient(const Lanes<T>* by_moments, T* gradient) const {
        const int rows = across_densities_.rows();
        Lanes<T> square[width];
        std::fill(square, square + width, Lanes<T>(T(0)));
        for (int r = 0; r < rows; ++r) {
            const Lanes<T>* first = by_moments + r * width;
            std::copy(first, first + row_size(shape_.num_densities, r), square);
            transpose(square);
            for (int lane = 0; lane < neighbors_->num_atoms(); ++lane) {
                T* out = gradient + (std::size_t(first_pair_[lane]) * shape_.num_radial * rows + r) * width;
                for (int i = 0; i < shape_.num_elements * shape_.num_radial; ++i) {
                    const Real sum = sum_of(lane, i / shape_.num_radial, i % shape_.num_radial);
                    add_at(out + std::size_t(i) * rows * width, square[lane] * result(sum));
                }
            }
        }
    }

private:
    Real sum_of(int lane, int element, int k) const {
        const int row = (lane * shape_.num_elements + element) * across_radial_.rows();
        return broadcast(sums_[row + k / width], k % width);
    }

    void make_weights(const Lanes<T>* by_moments) {
        const int rows = across_radial_.rows();
        for (int lane = 0; lane < width; ++lane) {
            for (int b = 0; b < shape_.num_elements; ++b) {
                const Real* table = across_radial_.of_pair(first_pair_[lane] + b);
                for (int r = 0; r < rows; ++r) {
                    Real total = constant<Real>(T(0));
                    for (int n = 0; n < shape_.num_densities; ++n) {
                        total = total + table[n * rows + r] * broadcast(by_moments[n], lane);
                    }
                    weights_[(lane * shape_.num_elements + b) * rows + r] = total;
                }
            }
        }
    }

    static int row_size(int count, int r) { return std::min(width, count - r * width); }

    DensityShape shape_;
    const Arguments<T>& arguments_;
    CoefficientRows<Real> across_densities_, across_radial_;
    std::vector<Real> sums_, weights_, chosen_;
    const Neighborhood<Real>* neighbors_ = nullptr;
    int first_pair_[width], row_[width];
};

/// Moments of degree zero and their gradients.
template <class Real, class Sums>
class RadialDensityKernel {
public:
    using T = Scalar<Real>;

    RadialDensityKernel(const DensityShape& shape, const Arguments<T>& arguments)
        : shape_(shape), arguments_(arguments), sums_(shape, arguments), values_(shape.num_radial),
          slopes_(shape.num_radial), moments_(shape.num_densities) {}

    void evaluate(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent, T* table_gradient) {
        const bool wants_vectors = cotangent != nullptr && arguments_.vector_gradient != nullptr;
        const bool wants_table = cotangent != nullptr && table_gradient != nullptr;
        const bool wants_sums = arguments_.functions != nullptr || wants_table;
        sums_.begin(neighbors, wants_vectors ? cotangent : nullptr);
        for (int place = 0; place < neighbors.num_places(); ++place) {
            sums_.choose(place);
            const auto u = direction_of(neighbors.x[place], neighbors.y[place], neighbors.z[place]);
            radial_values(arguments_.basis, u.distance, values_.data(), wants_vectors ? slopes_.data() : nullptr);
            if (wants_sums) sums_.add(values_.data());
            if (!wants_vectors) continue;
            const Real* weights = sums_.weights();
            Real by_distance = constant<Real>(T(0));
            for (int k = 0; k < shape_.num_radial; ++k) by_distance = by_distance + weights[k] * slopes_[k];
            neighbors.store_gradient(place, by_distance * u.x, by_distance * u.y, by_distance * u.z);
        }
        if (arguments_.functions != nullptr) sums_.moments(moments_.data());
        if (!wants_table) return;
        std::fill(table_gradient, table_gradient + coefficient_gradient_size<T>(shape_), T(0));
        sums_.gradient(cotangent, table_gradient);
    }

    const Lanes<T>* moments() const { return moments_.data(); }

private:
    DensityShape shape_;
    const Arguments<T>& arguments_;
    Sums sums_;
    std::vector<Real> values_, slopes_;
    std::vector<Lanes<T>> moments_;
};

}  // namespace mhdnn::cpu
