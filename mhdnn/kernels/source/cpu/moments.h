// Angular functions from moments, for a group of atoms on the CPU.
#pragma once

#include "../harmonics.h"
#include "../moments.h"
#include "blocks.h"
#include "neighborhood.h"

namespace mhdnn::cpu {

template <class Real>
class MomentKernel {
public:
    using T = Scalar<Real>;

    MomentKernel(const MomentShape& shape, const RadialBasis<T>& basis, const ChannelTable<Real>& table)
        : shape_(shape), basis_(basis), table_(table), coefficients_(triangle_size(shape.max_degree)),
          sums_(shape.num_elements * shape.block()), moments_(shape.num_channels * shape.block()),
          moment_gradient_(moments_.size()), sum_gradient_(shape.block()),
          own_sums_(shape.num_elements * shape.num_radial), own_sum_gradient_(shape.num_radial),
          values_(shape.num_radial), slopes_(shape.num_radial), by_radial_(shape.num_radial),
          harmonics_(shape.num_harmonics()), by_harmonic_(shape.num_harmonics()), q_(triangle_size(shape.max_degree)),
          cosine_(shape.num_degrees()), sine_(shape.num_degrees()) {
        for (int l = 0; l <= shape.max_degree; ++l) {
            for (int m = 0; m <= l; ++m) coefficients_[triangle_index(l, m)] = harmonic_coefficient<T>(l, m);
        }
    }

    /// Moments of the neighbours.
    void evaluate(const Neighborhood<Real>& neighbors, const Lanes<T>*) {
        std::fill(sums_.begin(), sums_.end(), constant<Real>(T(0)));
        std::fill(own_sums_.begin(), own_sums_.end(), constant<Real>(T(0)));
        for (int element = 0; element < shape_.num_elements; ++element) {
            Real* sums = sums_.data() + element * shape_.block();
            Real* own_sums = own_sums_.data() + element * shape_.num_radial;
            for (int place = neighbors.begin(element); place < neighbors.end(element); ++place) {
                add_neighbor(neighbors, place, sums, own_sums);
            }
        }
        for (int c = 0; c < shape_.num_channels; ++c) {
            for (int i = 0; i < shape_.block(); ++i) {
                moments_[c * shape_.block() + i] = mixed(table_, sums_.data(), shape_.block(), c, i);
            }
        }
    }

    void functions(Lanes<T>* functions) const {
        const int size = shape_.num_densities();
        for (int p = 0; p < size; ++p) {
            for (int q = p; q < size; ++q) {
                if (!shape_.has_pair(p, q)) continue;
                const Real own =
                    shape_.own_terms ? constant<Real>(T(0)) : own_term(shape_, table_, own_sums_.data(), p, q);
                Lanes<T>* out = functions + shape_.pair(p, q) * shape_.num_degrees();
                for (int l = 0; l < shape_.num_degrees(); ++l) {
                    out[l] = result(moment_product(shape_, moments_.data(), own, p, q, l));
                }
            }
        }
    }

    void gradients(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent, Lanes<T>* table_gradient) {
        for (int p = 0; p < shape_.num_densities(); ++p) {
            for (int l = 0; l < shape_.num_degrees(); ++l) {
                for (int component = l * l; component < (l + 1) * (l + 1); ++component) {
                    moment_gradient_[p * shape_.num_harmonics() + component] =
                        moment_gradient(shape_, moments_.data(), cotangent, p, component, l);
                }
            }
        }
        for (int element = 0; element < shape_.num_elements; ++element) {
            if (neighbors.begin(element) < neighbors.end(element)) {
                gradients_of_element(neighbors, cotangent, element);
            }
            if (table_gradient == nullptr) continue;
            table_gradients_of_element(cotangent, element, table_gradient + element * shape_.num_channels);
        }
    }

private:
    HarmonicFactors<Real> factors() { return {q_.data(), cosine_.data(), sine_.data()}; }

    void add_neighbor(const Neighborhood<Real>& neighbors, int place, Real* sums, Real* own_sums) {
        const auto u = direction_of(neighbors.x[place], neighbors.y[place], neighbors.z[place]);
        radial_values(basis_, u.distance, values_.data());
        harmonic_factors(coefficients_.data(), shape_.max_degree, u.x, u.y, u.z, factors());
        harmonics(shape_.max_degree, factors(), harmonics_.data());
        const int num_harmonics = shape_.num_harmonics();
        for (int n = 0; n < shape_.num_radial; ++n) {
            const Real value = values_[n];
            Real* row = sums + n * num_harmonics;
            for (int i = 0; i < num_harmonics; ++i) row[i] = row[i] + value * harmonics_[i];
            if (!shape_.own_terms) own_sums[n] = own_sums[n] + value * value;
        }
    }

    void gradients_of_element(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent, int element) {
        for (int i = 0; i < shape_.block(); ++i) {
            sum_gradient_[i] = unmixed(table_, moment_gradient_.data(), shape_.block(), element, i);
        }
        for (int n = 0; n < shape_.num_radial; ++n) {
            own_sum_gradient_[n] =
                shape_.own_terms ? constant<Real>(T(0)) : own_sum_gradient(shape_, table_, cotangent, element, n);
        }
        for (int place = neighbors.begin(element); place < neighbors.end(element); ++place) {
            store_neighbor_gradient(neighbors, place);
        }
    }

    void store_neighbor_gradient(const Neighborhood<Real>& neighbors, int place) {
        const auto u = direction_of(neighbors.x[place], neighbors.y[place], neighbors.z[place]);
        radial_values(basis_, u.distance, values_.data(), slopes_.data());
        harmonic_factors(coefficients_.data(), shape_.max_degree, u.x, u.y, u.z, factors());
        harmonics(shape_.max_degree, factors(), harmonics_.data());
        for (int n = 0; n < shape_.num_radial; ++n) by_radial_[n] = own_sum_gradient_[n] * values_[n] * T(2);
        neighbor_gradient_in_blocks<1>(
            shape_.num_radial, shape_.num_harmonics(), sum_gradient_.data(), values_.data(), harmonics_.data(),
            by_harmonic_.data(), by_radial_.data());
        Real by_distance = constant<Real>(T(0)), by_x, by_y, by_z, x, y, z;
        for (int n = 0; n < shape_.num_radial; ++n) by_distance = by_distance + by_radial_[n] * slopes_[n];
        harmonics_gradient(coefficients_.data(), shape_.max_degree, factors(), by_harmonic_.data(), by_x, by_y, by_z);
        gradient_by_vector(u, by_distance, by_x, by_y, by_z, x, y, z);
        neighbors.store_gradient(place, x, y, z);
    }

    void table_gradients_of_element(const Lanes<T>* cotangent, int element, Lanes<T>* table_gradient) {
        for (int c = 0; c < shape_.num_channels; ++c) {
            Real total = weight_gradient(sums_.data(), moment_gradient_.data(), shape_.block(), element, c);
            if (!shape_.own_terms) {
                total = total + own_weight_gradient(shape_, table_, own_sums_.data(), cotangent, element, c);
            }
            table_gradient[c] = result(total);
        }
    }

    MomentShape shape_;
    RadialBasis<T> basis_;
    ChannelTable<Real> table_;
    std::vector<HarmonicCoefficient<T>> coefficients_;
    std::vector<Real> sums_, moments_, moment_gradient_, sum_gradient_, own_sums_, own_sum_gradient_, values_, slopes_,
        by_radial_, harmonics_, by_harmonic_, q_, cosine_, sine_;
};

}  // namespace mhdnn::cpu
