// Angular functions as sums over pairs of neighbours, for a group of atoms on the CPU.
#pragma once

#include "../triplets.h"
#include "neighborhood.h"

namespace mhdnn::cpu {

template <class Real>
class TripletKernel {
public:
    using T = Scalar<Real>;

    TripletKernel(const TripletShape& shape, const RadialBasis<T>& basis, const ChannelTable<Real>& table)
        : shape_(shape), basis_(basis), table_(table), third_(shape.num_radial), third_slope_(shape.num_radial),
          power_(shape.num_powers), power_slope_(shape.num_powers), weight_(shape.num_radial),
          scratch_(triangle_scratch(shape)),
          sums_(num_unordered_pairs(shape.num_elements) * shape.num_angular), sum_gradient_(shape.num_angular),
          by_pair_weight_(num_unordered_pairs(shape.num_elements) * num_unordered_pairs(shape.num_channels)) {}

    /// Sums over pairs of neighbours and, where there is a cotangent, what the gradients need.
    void evaluate(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent) {
        prepare_sides(neighbors);
        std::fill(sums_.begin(), sums_.end(), constant<Real>(T(0)));
        int pair = 0;
        for (int d = 0; d < shape_.num_elements; ++d) {
            for (int e = d; e < shape_.num_elements; ++e, ++pair) {
                Real* sums = sums_.data() + pair * shape_.num_angular;
                if (cotangent == nullptr) {
                    for_each_pair(neighbors, d, e, [&](int j, int k) { add_triangle(j, k, sums); });
                    continue;
                }
                for (int f = 0; f < shape_.num_angular; ++f) {
                    sum_gradient_[f] = unmixed_pair(shape_, table_, cotangent, d, e, f);
                }
                for_each_pair(neighbors, d, e, [&](int j, int k) { add_triangle_and_gradient(j, k, sums); });
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
        for (int place = 0; place < neighbors.num_places(); ++place) store_side_gradient(neighbors, place);
        table_gradients(cotangent, table_gradient);
    }

private:
    template <class Action>
    static void for_each_pair(const Neighborhood<Real>& neighbors, int d, int e, Action action) {
        for (int j = neighbors.begin(d); j < neighbors.end(d); ++j) {
            for (int k = d == e ? j + 1 : neighbors.begin(e); k < neighbors.end(e); ++k) action(j, k);
        }
    }

    void prepare_sides(const Neighborhood<Real>& neighbors) {
        const std::size_t size = neighbors.num_places();
        sides_.resize(size);
        radial_.resize(shape_.num_radial * size);
        slopes_.resize(shape_.num_radial * size);
        for (auto* gradient : {&by_direction_, &by_vector_}) gradient->assign(3 * size, constant<Real>(T(0)));
        by_radial_.assign(shape_.num_radial * size, constant<Real>(T(0)));
        for (std::size_t place = 0; place < size; ++place) {
            const Real x = neighbors.x[place], y = neighbors.y[place], z = neighbors.z[place];
            Real* radial = radial_.data() + place * shape_.num_radial;
            sides_[place] = {x, y, z, direction_of(x, y, z), radial};
            radial_values(
                basis_, sides_[place].u.distance, radial, slopes_.data() + place * shape_.num_radial);
        }
    }

    Triangle<Real> triangle(int j, int k) {
        const Real zero = constant<Real>(T(0));
        Triangle<Real> result{zero, third_.data(), third_slope_.data(), power_.data(), power_slope_.data()};
        evaluate_triangle(shape_, basis_, sides_[j], sides_[k], result);
        return result;
    }

    void add_triangle(int j, int k, Real* sums) {
        const Triangle<Real> t = triangle(j, k);
        for (int n = 0; n < shape_.num_radial; ++n) {
            weight_[n] = triangle_weight(shape_, t, sides_[j].radial, sides_[k].radial, n);
        }
        add_functions(t, weight_.data(), sums);
    }

    void add_functions(const Triangle<Real>& t, const Real* weight, Real* sums) const {
        for (int f = 0; f < shape_.num_angular; ++f) {
            sums[f] = sums[f] + weight[shape_.radial_index[f]] * t.power[shape_.power_index[f]];
        }
    }

    void add_triangle_and_gradient(int j, int k, Real* sums) {
        const Triangle<Real> t = triangle(j, k);
        const Side<Real>&a = sides_[j], &b = sides_[k];
        const TriangleGradient<Real> gradient = triangle_gradient(
            shape_, t, a, b, sum_gradient_.data(), scratch_.data(), by_radial_.data() + j * shape_.num_radial,
            by_radial_.data() + k * shape_.num_radial);
        add_functions(t, scratch_.data() + shape_.num_radial, sums);
        add(by_direction_.data() + 3 * j, gradient.by_cosine, b.u.x, b.u.y, b.u.z);
        add(by_direction_.data() + 3 * k, gradient.by_cosine, a.u.x, a.u.y, a.u.z);
        if (!shape_.third_side) return;
        const Real twice = gradient.by_square * T(2);
        add(by_vector_.data() + 3 * j, twice, a.x - b.x, a.y - b.y, a.z - b.z);
        add(by_vector_.data() + 3 * k, twice, b.x - a.x, b.y - a.y, b.z - a.z);
    }

    static void add(Real* vector, Real factor, Real x, Real y, Real z) {
        vector[0] = vector[0] + factor * x;
        vector[1] = vector[1] + factor * y;
        vector[2] = vector[2] + factor * z;
    }

    void store_side_gradient(const Neighborhood<Real>& neighbors, int place) {
        Real by_distance = constant<Real>(T(0)), x, y, z;
        for (int n = 0; n < shape_.num_radial; ++n) {
            const int i = place * shape_.num_radial + n;
            by_distance = by_distance + by_radial_[i] * slopes_[i];
        }
        const Real *by_u = by_direction_.data() + 3 * place, *by_r = by_vector_.data() + 3 * place;
        gradient_by_vector(sides_[place].u, by_distance, by_u[0], by_u[1], by_u[2], x, y, z);
        neighbors.store_gradient(place, x + by_r[0], y + by_r[1], z + by_r[2]);
    }

    void table_gradients(const Lanes<T>* cotangent, Lanes<T>* table_gradient) {
        const int num_channel_pairs = num_unordered_pairs(shape_.num_channels);
        for (int i = 0; i < int(by_pair_weight_.size()); ++i) {
            by_pair_weight_[i] = pair_weight_gradient(
                shape_, sums_.data(), cotangent, i / num_channel_pairs, i % num_channel_pairs);
        }
        for (int e = 0; e < shape_.num_elements; ++e) {
            for (int c = 0; c < shape_.num_channels; ++c) {
                *table_gradient++ = result(weight_gradient_of_pairs(shape_, table_, by_pair_weight_.data(), e, c));
            }
        }
    }

    TripletShape shape_;
    RadialBasis<T> basis_;
    ChannelTable<Real> table_;
    std::vector<Real> third_, third_slope_, power_, power_slope_, weight_, scratch_, sums_, sum_gradient_,
        by_pair_weight_, radial_, slopes_, by_radial_, by_direction_, by_vector_;
    std::vector<Side<Real>> sides_;
};

}  // namespace mhdnn::cpu
