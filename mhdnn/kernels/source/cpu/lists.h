// Functions for certain elements of the neighbours (../lists.h), for a group of atoms on the CPU.
#pragma once

#include "../lists.h"
#include "triangles.h"

namespace mhdnn::cpu {

/// Radial functions of each element that follow each other, from those of each block: an element, first and end.
class RangesOfElements {
public:
    explicit RangesOfElements(int num_elements) : ranges(num_elements) {}

    void add(int element, int first, int end) {
        auto& own = ranges[element];
        if (!own.empty() && own.back().end == first) {
            own.back().end = end;
        } else if (own.empty() || own.back().first != first) {
            own.push_back({first, end});
        }
    }

    std::vector<std::vector<RadialRange>> ranges;
};

template <class Real>
class RadialListKernel {
public:
    using T = Scalar<Real>;

    RadialListKernel(const RadialListShape& shape, const RadialBasis<T>& basis, const ChannelTable<Real>&)
        : shape_(shape), basis_(basis), of_element_(shape.num_elements), sums_(shape.num_radial),
          values_(shape.num_radial), slopes_(shape.num_radial) {
        for (int n = 0; n < shape.num_radial; ++n) of_element_.add(int(shape.elements[n]), n, n + 1);
    }

    /// Sums over neighbours.
    void evaluate(const Neighborhood<Real>& neighbors, const Lanes<T>*) {
        std::fill(sums_.begin(), sums_.end(), constant<Real>(T(0)));
        for_each_neighbor(neighbors, [&](int element, int place) {
            evaluate_radial(neighbors, element, place, nullptr);
            for (const RadialRange& range : of_element_.ranges[element]) {
                for (int n = range.first; n < range.end; ++n) sums_[n] = sums_[n] + values_[n];
            }
        });
    }

    void functions(Lanes<T>* functions) const {
        for (int n = 0; n < shape_.num_radial; ++n) functions[n] = result(sums_[n]);
    }

    void gradients(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent, Lanes<T>* table_gradient) {
        for_each_neighbor(neighbors, [&](int element, int place) {
            const auto u = evaluate_radial(neighbors, element, place, slopes_.data());
            Real by_distance = constant<Real>(T(0));
            for (const RadialRange& range : of_element_.ranges[element]) {
                for (int n = range.first; n < range.end; ++n) {
                    by_distance = by_distance + with_tangent<Real>(cotangent[n], T(0)) * slopes_[n];
                }
            }
            neighbors.store_gradient(place, by_distance * u.x, by_distance * u.y, by_distance * u.z);
        });
        if (table_gradient == nullptr) return;
        std::fill(table_gradient, table_gradient + shape_.num_elements * shape_.num_channels, Lanes<T>(T(0)));
    }

private:
    template <class Action>
    void for_each_neighbor(const Neighborhood<Real>& neighbors, Action action) {
        for (int element = 0; element < shape_.num_elements; ++element) {
            for (int place = neighbors.begin(element); place < neighbors.end(element); ++place) action(element, place);
        }
    }

    Direction<Real> evaluate_radial(const Neighborhood<Real>& neighbors, int element, int place, Real* slopes) {
        const auto u = direction_of(neighbors.x[place], neighbors.y[place], neighbors.z[place]);
        Real cutoff, cutoff_slope;
        cutoff_value(basis_, u.distance, cutoff, cutoff_slope);
        for (const RadialRange& range : of_element_.ranges[element]) {
            radial_values_between(
                basis_, range.first, range.end, u.distance, cutoff, cutoff_slope, values_.data(), slopes);
        }
        return u;
    }

    RadialListShape shape_;
    RadialBasis<T> basis_;
    RangesOfElements of_element_;
    std::vector<Real> sums_, values_, slopes_;
};

template <class Real>
class TripletListKernel {
public:
    using T = Scalar<Real>;

    TripletListKernel(const TripletListShape& shape, const RadialBasis<T>& basis, const ChannelTable<Real>&)
        : shape_(shape), triangles_(basis, most_powers(shape)), of_element_(shape.num_elements),
          sums_(shape.num_angular), cotangent_(shape.num_angular) {
        for (int b = 0; b < shape.num_blocks; ++b) {
            const TripletBlock& block = shape.blocks[b];
            const int end = block.first_radial + block.shape.num_radial;
            of_element_.add(block.first_element, block.first_radial, end);
            if (block.second_element != block.first_element) {
                of_element_.add(block.second_element, block.first_radial, end);
            }
        }
    }

    /// Sums over pairs of neighbours and, where there is a cotangent, what the gradients need.
    void evaluate(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent) {
        triangles_.prepare(neighbors, of_element_.ranges);
        std::fill(sums_.begin(), sums_.end(), constant<Real>(T(0)));
        if (cotangent != nullptr) {
            for (int f = 0; f < shape_.num_angular; ++f) cotangent_[f] = with_tangent<Real>(cotangent[f], T(0));
        }
        for (int b = 0; b < shape_.num_blocks; ++b) {
            const TripletBlock& block = shape_.blocks[b];
            const TriangleFunctions own{block.shape, block.first_radial};
            Real* sums = sums_.data() + block.first_function;
            const Real* by_sums = cotangent_.data() + block.first_function;
            for_each_pair(neighbors, block.first_element, block.second_element, [&](int j, int k) {
                if (cotangent == nullptr) {
                    triangles_.add(own, j, k, sums);
                } else {
                    triangles_.add_with_gradient(own, j, k, by_sums, sums);
                }
            });
        }
    }

    void functions(Lanes<T>* functions) const {
        for (int f = 0; f < shape_.num_angular; ++f) functions[f] = result(sums_[f]);
    }

    void gradients(const Neighborhood<Real>& neighbors, const Lanes<T>*, Lanes<T>* table_gradient) {
        triangles_.store_gradients(neighbors, of_element_.ranges);
        if (table_gradient == nullptr) return;
        std::fill(table_gradient, table_gradient + shape_.num_elements * shape_.num_channels, Lanes<T>(T(0)));
    }

private:
    static int most_powers(const TripletListShape& shape) {
        int most = 0;
        for (int b = 0; b < shape.num_blocks; ++b) most = std::max(most, shape.blocks[b].shape.num_powers);
        return most;
    }

    TripletListShape shape_;
    Triangles<Real> triangles_;
    RangesOfElements of_element_;
    std::vector<Real> sums_, cotangent_;
};

}  // namespace mhdnn::cpu
