// Pairs of neighbours of a group of atoms on the CPU: sums over triangles, and what they give the gradients.
#pragma once

#include "../triplets.h"
#include "neighborhood.h"

namespace mhdnn::cpu {

/// Radial functions first ... end - 1.
struct RadialRange {
    int first, end;
};

/// Functions that are summed over the triangles of one pair of elements: a shape that counts radial functions from
/// first_radial on.
struct TriangleFunctions {
    const TripletShape& shape;
    int first_radial;
};

template <class Real>
class Triangles {
public:
    using T = Scalar<Real>;

    /// Working space for the largest of all shapes.
    Triangles(const RadialBasis<T>& basis, int num_powers)
        : basis_(basis), third_(basis.num_radial), third_slope_(basis.num_radial), power_(num_powers),
          power_slope_(num_powers), weight_(basis.num_radial), scratch_(2 * basis.num_radial + num_powers) {}

    /// Neighbours as sides of triangles; ranges: the radial functions that each element needs.
    void prepare(const Neighborhood<Real>& neighbors, const std::vector<std::vector<RadialRange>>& ranges) {
        const std::size_t size = neighbors.num_places();
        sides_.resize(size);
        radial_.resize(basis_.num_radial * size);
        slopes_.resize(basis_.num_radial * size);
        for (auto* gradient : {&by_direction_, &by_vector_}) gradient->assign(3 * size, constant<Real>(T(0)));
        by_radial_.assign(basis_.num_radial * size, constant<Real>(T(0)));
        for (int element = 0; element < int(ranges.size()); ++element) {
            for (int place = neighbors.begin(element); place < neighbors.end(element); ++place) {
                prepare_side(neighbors, place, ranges[element]);
            }
        }
    }

    /// Adds the functions of a triangle to their sums.
    void add(const TriangleFunctions& functions, int j, int k, Real* sums) {
        const TripletShape& shape = functions.shape;
        const Side<Real> a = side(functions, j), b = side(functions, k);
        const Triangle<Real> t = triangle(functions, a, b);
        for (int n = 0; n < shape.num_radial; ++n) weight_[n] = triangle_weight(shape, t, a.radial, b.radial, n);
        add_functions(shape, t, weight_.data(), sums);
    }

    /// The same, with gradients for the cotangents of the functions.
    void add_with_gradient(const TriangleFunctions& functions, int j, int k, const Real* cotangent, Real* sums) {
        const TripletShape& shape = functions.shape;
        const Side<Real> a = side(functions, j), b = side(functions, k);
        const Triangle<Real> t = triangle(functions, a, b);
        const TriangleGradient<Real> gradient = triangle_gradient(
            shape, t, a, b, cotangent, scratch_.data(), row(by_radial_, functions, j), row(by_radial_, functions, k));
        add_functions(shape, t, scratch_.data() + shape.num_radial, sums);
        add_to(by_direction_.data() + 3 * j, gradient.by_cosine, b.u.x, b.u.y, b.u.z);
        add_to(by_direction_.data() + 3 * k, gradient.by_cosine, a.u.x, a.u.y, a.u.z);
        if (!shape.third_side) return;
        const Real twice = gradient.by_square * T(2);
        add_to(by_vector_.data() + 3 * j, twice, a.x - b.x, a.y - b.y, a.z - b.z);
        add_to(by_vector_.data() + 3 * k, twice, b.x - a.x, b.y - a.y, b.z - a.z);
    }

    void store_gradients(
        const Neighborhood<Real>& neighbors, const std::vector<std::vector<RadialRange>>& ranges) const {
        for (int element = 0; element < int(ranges.size()); ++element) {
            for (int place = neighbors.begin(element); place < neighbors.end(element); ++place) {
                store_side_gradient(neighbors, place, ranges[element]);
            }
        }
    }

private:
    void prepare_side(const Neighborhood<Real>& neighbors, int place, const std::vector<RadialRange>& ranges) {
        const Real x = neighbors.x[place], y = neighbors.y[place], z = neighbors.z[place];
        Real* radial = radial_.data() + std::size_t(place) * basis_.num_radial;
        Real* slopes = slopes_.data() + std::size_t(place) * basis_.num_radial;
        sides_[place] = {x, y, z, direction_of(x, y, z), radial};
        Real cutoff, cutoff_slope;
        cutoff_value(basis_, sides_[place].u.distance, cutoff, cutoff_slope);
        for (const RadialRange& range : ranges) {
            radial_values_between(
                basis_, range.first, range.end, sides_[place].u.distance, cutoff, cutoff_slope, radial, slopes);
        }
    }

    Side<Real> side(const TriangleFunctions& functions, int place) const {
        Side<Real> result = sides_[place];
        result.radial += functions.first_radial;
        return result;
    }

    Real* row(std::vector<Real>& values, const TriangleFunctions& functions, int place) {
        return values.data() + std::size_t(place) * basis_.num_radial + functions.first_radial;
    }

    Triangle<Real> triangle(const TriangleFunctions& functions, const Side<Real>& a, const Side<Real>& b) {
        const Real zero = constant<Real>(T(0));
        Triangle<Real> result{zero, third_.data(), third_slope_.data(), power_.data(), power_slope_.data()};
        const RadialBasis<T> part = basis_.part(functions.first_radial, functions.shape.num_radial);
        evaluate_triangle(functions.shape, part, a, b, result);
        return result;
    }

    static void add_functions(const TripletShape& shape, const Triangle<Real>& t, const Real* weight, Real* sums) {
        for (int f = 0; f < shape.num_angular; ++f) {
            sums[f] = sums[f] + weight[shape.radial_index[f]] * t.power[shape.power_index[f]];
        }
    }

    static void add_to(Real* vector, Real factor, Real x, Real y, Real z) {
        vector[0] = vector[0] + factor * x;
        vector[1] = vector[1] + factor * y;
        vector[2] = vector[2] + factor * z;
    }

    void store_side_gradient(
        const Neighborhood<Real>& neighbors, int place, const std::vector<RadialRange>& ranges) const {
        Real by_distance = constant<Real>(T(0)), x, y, z;
        for (const RadialRange& range : ranges) {
            for (int n = range.first; n < range.end; ++n) {
                const std::size_t i = std::size_t(place) * basis_.num_radial + n;
                by_distance = by_distance + by_radial_[i] * slopes_[i];
            }
        }
        const Real *by_u = by_direction_.data() + 3 * place, *by_r = by_vector_.data() + 3 * place;
        gradient_by_vector(sides_[place].u, by_distance, by_u[0], by_u[1], by_u[2], x, y, z);
        neighbors.store_gradient(place, x + by_r[0], y + by_r[1], z + by_r[2]);
    }

    RadialBasis<T> basis_;
    std::vector<Real> third_, third_slope_, power_, power_slope_, weight_, scratch_, radial_, slopes_, by_radial_,
        by_direction_, by_vector_;
    std::vector<Side<Real>> sides_;
};

/// action(j, k) for the pairs of neighbours of two elements, each pair once.
template <class Real, class Action>
void for_each_pair(const Neighborhood<Real>& neighbors, int first, int second, Action action) {
    for (int j = neighbors.begin(first); j < neighbors.end(first); ++j) {
        for (int k = first == second ? j + 1 : neighbors.begin(second); k < neighbors.end(second); ++k) action(j, k);
    }
}

}  // namespace mhdnn::cpu
