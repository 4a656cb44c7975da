// Moments of contracted densities of a group of atoms on the CPU.
#pragma once

#include "../harmonics.h"
#include "blocks.h"
#include "contraction.h"
#include "element_sums.h"
#include "neighborhood.h"

namespace mhdnn::cpu {

/// Neighbours are prepared and used in blocks.
template <class Real>
class DensityKernel {
public:
    using T = Scalar<Real>;
    static constexpr int width = Lanes<T>::width;
    static constexpr int block = 4;

    DensityKernel(const DensityShape& shape, const Arguments<T>& arguments)
        : shape_(shape), arguments_(arguments), contraction_(shape, arguments),
          coefficients_(triangle_size(shape.max_degree)), moments_(shape.num_moments()),
          densities_(block * shape.num_densities), harmonics_(block * shape.num_harmonics()),
          by_density_(block * shape.num_densities), by_harmonic_(block * shape.num_harmonics()),
          slopes_(shape.num_radial) {
        for (int l = 0; l <= shape.max_degree; ++l) {
            for (int m = 0; m <= l; ++m) coefficients_[triangle_index(l, m)] = harmonic_coefficient<T>(l, m);
        }
        for (Place& place : places_) {
            place.radial.resize(shape.num_radial);
            place.q.resize(coefficients_.size());
            place.cosine.resize(shape.max_degree + 1);
            place.sine.resize(shape.max_degree + 1);
            place.density_slopes.resize(shape.num_densities);
        }
    }

    /// Moments where functions are wanted; gradients of sum cotangent · moments where there is a cotangent. The
    /// coefficients' gradient is written in the rows of `Contraction`.
    void evaluate(const Neighborhood<Real>& neighbors, const Lanes<T>* cotangent, T* table_gradient) {
        std::fill(moments_.begin(), moments_.end(), Lanes<T>(T(0)));
        if (table_gradient != nullptr) {
            std::fill(table_gradient, table_gradient + coefficient_gradient_size<T>(shape_), T(0));
        }
        for (int first = 0; first < neighbors.num_places(); first += block) {
            const int count = std::min(block, neighbors.num_places() - first);
            for (int i = 0; i < count; ++i) prepare(neighbors, first + i, i);
            if (arguments_.functions != nullptr) add_to_moments(count);
            if (cotangent == nullptr) continue;
            find_gradients(count, cotangent);
            for (int i = 0; i < count; ++i) {
                if (table_gradient != nullptr) add_table_gradient(i, table_gradient);
                if (wants_vectors()) store_vector_gradient(neighbors, first + i, i);
            }
        }
    }

    const Lanes<T>* moments() const { return moments_.data(); }

private:
    /// What a place of the block needs besides densities and harmonics.
    struct Place {
        Direction<Real> direction;
        int pair_of_elements[width] = {};
        std::vector<Real> radial, density_slopes, q, cosine, sine;

        HarmonicFactors<Real> factors() { return {q.data(), cosine.data(), sine.data()}; }
    };

    bool wants_vectors() const { return arguments_.vector_gradient != nullptr; }

    void prepare(const Neighborhood<Real>& neighbors, int number, int i) {
        Place& place = places_[i];
        find_pairs_of_elements(neighbors, number, place.pair_of_elements);
        const auto u = direction_of(neighbors.x[number], neighbors.y[number], neighbors.z[number]);
        place.direction = u;
        radial_values(arguments_.basis, u.distance, place.radial.data(), wants_vectors() ? slopes_.data() : nullptr);
        contraction_.apply(place.pair_of_elements, place.radial.data(), densities_.data() + i * shape_.num_densities);
        if (wants_vectors()) {
            contraction_.apply(place.pair_of_elements, slopes_.data(), place.density_slopes.data());
        }
        harmonic_factors(coefficients_.data(), shape_.max_degree, u.x, u.y, u.z, place.factors());
        harmonics(shape_.max_degree, place.factors(), harmonics_.data() + i * shape_.num_harmonics());
    }

    /// Empty places get the first pair; their radial functions are zero.
    void find_pairs_of_elements(const Neighborhood<Real>& neighbors, int number, int* pair_of_elements) const {
        if (shape_.num_elements == 1) return;
        for (int lane = 0; lane < width; ++lane) {
            const std::int64_t pair = lane < neighbors.num_atoms() ? neighbors.pair(number, lane) : -1;
            pair_of_elements[lane] = pair < 0
                                         ? 0
                                         : int(arguments_.center_element[neighbors.atom(lane)] * shape_.num_elements +
                                               arguments_.neighbor_element[pair]);
        }
    }

    void add_to_moments(int count) {
        const int size = shape_.num_densities, num_harmonics = shape_.num_harmonics();
        if (count == block) {
            return add_moments<block>(size, num_harmonics, densities_.data(), harmonics_.data(), moments_.data());
        }
        for (int i = 0; i < count; ++i) {
            add_moments<1>(
                size, num_harmonics, densities_.data() + i * size, harmonics_.data() + i * num_harmonics,
                moments_.data());
        }
    }

    /// By densities and harmonics.
    void find_gradients(int count, const Lanes<T>* cotangent) {
        constexpr int neighbors = has_tangent<Real> ? 1 : 2;  // as many as there are registers for
        std::fill(by_density_.begin(), by_density_.end(), constant<Real>(T(0)));
        int i = 0;
        for (; i + neighbors <= count; i += neighbors) find_gradients_of<neighbors>(i, cotangent);
        for (; i < count; ++i) find_gradients_of<1>(i, cotangent);
    }

    template <int neighbors>
    void find_gradients_of(int i, const Lanes<T>* cotangent) {
        const int size = shape_.num_densities, num_harmonics = shape_.num_harmonics();
        neighbor_gradient_in_blocks<neighbors>(
            size, num_harmonics, cotangent, densities_.data() + i * size, harmonics_.data() + i * num_harmonics,
            by_harmonic_.data() + i * num_harmonics, by_density_.data() + i * size);
    }

    void add_table_gradient(int i, T* table_gradient) const {
        contraction_.add_gradient(
            places_[i].pair_of_elements, by_density_.data() + i * shape_.num_densities, places_[i].radial.data(),
            table_gradient);
    }

    void store_vector_gradient(const Neighborhood<Real>& neighbors, int number, int i) {
        Place& place = places_[i];
        const Real* by_density = by_density_.data() + i * shape_.num_densities;
        Real by_distance = constant<Real>(T(0)), by_x, by_y, by_z, x, y, z;
        for (int n = 0; n < shape_.num_densities; ++n) {
            by_distance = by_distance + by_density[n] * place.density_slopes[n];
        }
        harmonics_gradient(
            coefficients_.data(), shape_.max_degree, place.factors(), by_harmonic_.data() + i * shape_.num_harmonics(),
            by_x, by_y, by_z);
        gradient_by_vector(place.direction, by_distance, by_x, by_y, by_z, x, y, z);
        neighbors.store_gradient(number, x, y, z);
    }

    DensityShape shape_;
    const Arguments<T>& arguments_;
    Contraction<Real> contraction_;
    std::vector<HarmonicCoefficient<T>> coefficients_;
    std::vector<Lanes<T>> moments_;
    std::vector<Real> densities_, harmonics_, by_density_, by_harmonic_, slopes_;
    Place places_[block];
};

template <class Real, class Kernel, class T>
void evaluate_by(
    Kernel kernel, const DensityShape& shape, const Arguments<T>& arguments, const std::vector<std::int64_t>& order,
    std::int64_t first, std::int64_t last) {
    Neighborhood<Real> neighbors(arguments, 1);
    const std::size_t table_size = coefficient_gradient_size<T>(shape);
    std::vector<Lanes<T>> cotangent(shape.num_moments());
    for (std::int64_t group = first; group < last; ++group) {
        const std::int64_t first_atom = group * Lanes<T>::width;
        const std::int64_t count = std::min<std::int64_t>(Lanes<T>::width, arguments.num_atoms - first_atom);
        neighbors.load(order.data() + first_atom, int(count));
        const bool has_cotangent = arguments.cotangent != nullptr;
        if (has_cotangent) neighbors.load_rows(arguments.cotangent, shape.num_moments(), cotangent.data());
        T* table_gradient = arguments.table_gradient;
        kernel.evaluate(
            neighbors, has_cotangent ? cotangent.data() : nullptr,
            table_gradient == nullptr ? nullptr : table_gradient + group * table_size);
        if (arguments.functions != nullptr) {
            neighbors.store_rows(kernel.moments(), shape.num_moments(), arguments.functions);
        }
    }
}

/// Groups first ... last - 1 of the atoms in the given order; as `evaluate_groups`, but neighbours of all elements
/// stand in one row, and either gradient may be left out.
template <class Real, class T>
void evaluate_densities(
    const DensityShape& shape, const Arguments<T>& arguments, const std::vector<std::int64_t>& order,
    std::int64_t first, std::int64_t last) {
    if (shape.max_degree > 0) {
        evaluate_by<Real>(DensityKernel<Real>(shape, arguments), shape, arguments, order, first, last);
    } else if (shape.num_elements == 1) {
        evaluate_by<Real>(
            RadialDensityKernel<Real, UniformSums<Real>>(shape, arguments), shape, arguments, order, first, last);
    } else {
        evaluate_by<Real>(
            RadialDensityKernel<Real, ElementSums<Real>>(shape, arguments), shape, arguments, order, first, last);
    }
}

}  // namespace mhdnn::cpu
