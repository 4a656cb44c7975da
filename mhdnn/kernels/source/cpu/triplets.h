// Angular functions as sums over pairs of neighbours, for a group of atoms on the CPU.
#pragma once

#include "triangles.h"

namespace mhdnn::cpu {

template <class Real>
class TripletKernel {
public:
    using T = Scalar<Real>;

    TripletKernel(const TripletShape& shape, const RadialBasis<T>& basis, const ChannelTable<Real>& table)
        : shape_(shape), table_(table), triangles_(basis, shape.num_powers),
          ranges_(shape.num_elements, std::vector<RadialRange>{{0, shape.num_radial}}),
          sums_(num_unordered_pairs(shape.num_elements) * shape.num_angular), sum_gradient_(shape.num_angular),
          by_pair_weight_(num_unordered_pairs(shape.num_elements) * num_unordered_pairs(shape.num_channels)) {}

    /// Sums over pairs of neighbours and, where there is a cotangent, what the gradients need.
    void evaluate(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent) {
        triangles_.prepare(neighbors, ranges_);
        std::fill(sums_.begin(), sums_.end(), constant<Real>(T(0)));
        const TriangleFunctions all{shape_, 0};
        int pair = 0;
        for (int d = 0; d < shape_.num_elements; ++d) {
            for (int e = d; e < shape_.num_elements; ++e, ++pair) {
                Real* sums = sums_.data() + pair * shape_.num_angular;
                if (cotangent == nullptr) {
                    for_each_pair(neighbors, d, e, [&](int j, int k) { triangles_.add(all, j, k, sums); });
                    continue;
                }
                for (int f = 0; f < shape_.num_angular; ++f) {
                    sum_gradient_[f] = unmixed_pair(shape_, table_, cotangent, d, e, f);
                }
                for_each_pair(neighbors, d, e, [&](int j, int k) {
                    triangles_.add_with_gradient(all, j, k, sum_gradient_.data(), sums);
                });
            }
        }
    }

    void functions(Lanes<T>* functions) const {
        for (int a = 0; a < shape_.num_channels; ++a) {
            for (int b = a; b < shape_.num_channels; ++b) {
                for (int f = 0; f < shape_.num_angular; ++f) {
                    *functions++ = result(mixed_pair(shape_, table_, sums_.data(), a, b, f));
                }
            }
        }
    }

    void gradients(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent, Lanes<T>* table_gradient) {
        triangles_.store_gradients(neighbors, ranges_);
        if (table_gradient != nullptr) table_gradients(cotangent, table_gradient);
    }

private:
    void table_gradients(const Lanes<T>* cotangent, Lanes<T>* table_gradient) {
        const int num_channel_pairs = num_unordered_pairs(shape_.num_channels);
        for (int i = 0; i < int(by_pair_weight_.size()); ++i) {
            by_pair_weight_[i] =
                pair_weight_gradient(shape_, sums_.data(), cotangent, i / num_channel_pairs, i % num_channel_pairs);
        }
        for (int e = 0; e < shape_.num_elements; ++e) {
            for (int c = 0; c < shape_.num_channels; ++c) {
                *table_gradient++ = result(weight_gradient_of_pairs(shape_, table_, by_pair_weight_.data(), e, c));
            }
        }
    }

    TripletShape shape_;
    ChannelTable<Real> table_;
    Triangles<Real> triangles_;
    std::vector<std::vector<RadialRange>> ranges_;
    std::vector<Real> sums_, sum_gradient_, by_pair_weight_;
};

}  // namespace mhdnn::cpu
