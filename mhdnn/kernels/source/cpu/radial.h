// Radial functions of a group of atoms on the CPU.
#pragma once

#include "../channels.h"
#include "neighborhood.h"

namespace mhdnn::cpu {

template <class Real>
class RadialKernel {
public:
    using T = Scalar<Real>;

    RadialKernel(const RadialShape& shape, const RadialBasis<T>& basis, const ChannelTable<Real>& table)
        : shape_(shape), basis_(basis), table_(table), sums_(shape.num_elements * shape.num_radial),
          gradient_(shape.num_radial), values_(shape.num_radial), slopes_(shape.num_radial),
          spread_(shape.num_functions()) {}

    /// Sums over neighbours.
    void evaluate(const Neighborhood<Real>& neighbors, const Lanes<T>*) {
        std::fill(sums_.begin(), sums_.end(), constant<Real>(T(0)));
        for (int element = 0; element < shape_.num_elements; ++element) {
            Real* sums = sums_.data() + element * shape_.num_radial;
            for (int place = neighbors.begin(element); place < neighbors.end(element); ++place) {
                const auto u = direction_of(neighbors.x[place], neighbors.y[place], neighbors.z[place]);
                radial_values(basis_, u.distance, values_.data());
                for (int n = 0; n < shape_.num_radial; ++n) sums[n] = sums[n] + values_[n];
            }
        }
    }

    void functions(Lanes<T>* functions) const {
        for (int c = 0; c < shape_.num_channels; ++c) {
            for (int n = 0; n < shape_.num_radial; ++n) {
                functions[c * shape_.num_radial + n] = result(mixed(table_, sums_.data(), shape_.num_radial, c, n));
            }
        }
    }

    void gradients(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent, Lanes<T>* table_gradient) {
        for (int i = 0; i < shape_.num_functions(); ++i) spread_[i] = with_tangent<Real>(cotangent[i], T(0));
        for (int element = 0; element < shape_.num_elements; ++element) {
            for (int n = 0; n < shape_.num_radial; ++n) {
                gradient_[n] = unmixed(table_, spread_.data(), shape_.num_radial, element, n);
            }
            for (int place = neighbors.begin(element); place < neighbors.end(element); ++place) {
                store_neighbor_gradient(neighbors, place);
            }
            for (int c = 0; table_gradient != nullptr && c < shape_.num_channels; ++c) {
                table_gradient[element * shape_.num_channels + c] =
                    result(weight_gradient(sums_.data(), spread_.data(), shape_.num_radial, element, c));
            }
        }
    }

private:
    void store_neighbor_gradient(const Neighborhood<Real>& neighbors, int place) {
        const auto u = direction_of(neighbors.x[place], neighbors.y[place], neighbors.z[place]);
        radial_values(basis_, u.distance, values_.data(), slopes_.data());
        Real by_distance = constant<Real>(T(0));
        for (int n = 0; n < shape_.num_radial; ++n) by_distance = by_distance + gradient_[n] * slopes_[n];
        neighbors.store_gradient(place, by_distance * u.x, by_distance * u.y, by_distance * u.z);
    }

    RadialShape shape_;
    RadialBasis<T> basis_;
    ChannelTable<Real> table_;
    std::vector<Real> sums_, gradient_, values_, slopes_, spread_;
};

}  // namespace mhdnn::cpu
