// Moments of contracted densities: a block of threads for every atom.
#pragma once

#include "../densities.h"
#include "../moments.h"
#include "harmonics.cuh"

namespace mhdnn::cuda {

template <class Real>
class DensityKernel {
public:
    using T = Scalar<Real>;

    MHDNN_FUNCTION DensityKernel(const DensityShape& shape, const Arguments<T>& arguments, int tile, Memory& memory)
        : shape_(shape), model_(arguments, shape.num_elements, 0, memory),
          keeps_radial_(arguments.table_gradient != nullptr), harmonics_(shape.max_degree, memory),
          products_(shape.num_densities, shape.num_harmonics()), tile_(tile), row_(row_length(neighbor_size())),
          moments_(memory.take<T>(arguments.functions != nullptr ? shape.num_moments() : 0)),
          cotangent_(memory.take<T>(model_.has_cotangent() ? shape.num_moments() : 0)),
          directions_(memory.take<Direction<Real>>(tile)), rows_(memory.take<Real>(std::size_t(tile) * row_)),
          elements_(memory.take<int>(tile)) {}

    MHDNN_DEVICE void prepare() {
        model_.load();
        harmonics_.prepare();
        products_.prepare();
    }

    /// Everything that is wanted of an atom; null where it is not.
    MHDNN_DEVICE void evaluate(
        std::int64_t atom, Neighbors neighbors, const T* cotangent, T* moments, T* table_gradient) {
        center_ = model_.center_element(atom);
        if (moments != nullptr) share(shape_.num_moments(), [&](int i) { moments_[i] = T(0); });
        if (cotangent != nullptr) share(shape_.num_moments(), [&](int i) { cotangent_[i] = cotangent[i]; });
        if (table_gradient != nullptr) {
            share(shape_.block(), [&](int i) {
                for (int e = 0; e < shape_.num_elements; ++e) table_gradient[e * shape_.block() + i] = T(0);
            });
        }
        for (int first = 0; first < neighbors.count; first += tile_) {
            const int rest = neighbors.count - first, count = rest < tile_ ? rest : tile_;
            __syncthreads();
            share(count, [&](int i) { stage(i, neighbors.pair(first + i)); });
            __syncthreads();
            if (moments != nullptr) add_neighbors(count);
            if (cotangent == nullptr) continue;
            __syncthreads();  // gradients take the place of harmonics
            share(count, [&](int i) { neighbor_gradients(i, neighbors.pair(first + i)); });
            if (table_gradient == nullptr) continue;
            __syncthreads();
            add_table_gradients(count, table_gradient);
        }
        if (moments == nullptr) return;
        __syncthreads();
        share(shape_.num_moments(), [&](int i) { moments[i] = moments_[i]; });
    }

private:
    /// What is kept of a neighbour; by_density serves gradients only, density_slopes those by vectors. Slopes of radial
    /// functions are needed before there are harmonics, and lie in their place; so do the functions themselves unless
    /// gradients by coefficients need them.
    struct Row {
        Real *harmonics, *space, *density, *by_density, *density_slopes, *radial, *slopes;
    };

    MHDNN_FUNCTION int first_size() const {
        const int harmonics = shape_.num_harmonics() + harmonics_.space();
        const int radial = shape_.num_radial * ((keeps_radial_ ? 0 : 1) + (model_.wants_vectors() ? 1 : 0));
        return harmonics > radial ? harmonics : radial;
    }
    MHDNN_FUNCTION int neighbor_size() const {
        const int n = shape_.num_densities;
        return first_size() + n + (model_.has_cotangent() ? n : 0) + (model_.wants_vectors() ? n : 0) +
               (keeps_radial_ ? shape_.num_radial : 0);
    }

    MHDNN_DEVICE Row row(int i) const {
        const int n = shape_.num_densities;
        Real *first = rows_ + i * row_, *density = first + first_size(), *by_density = density + n;
        Real *density_slopes = by_density + n, *kept = density_slopes + (model_.wants_vectors() ? n : 0);
        return {
            first,
            first + shape_.num_harmonics(),
            density,
            by_density,
            density_slopes,
            keeps_radial_ ? kept : first,
            keeps_radial_ ? first : first + shape_.num_radial};
    }

    MHDNN_DEVICE void stage(int i, std::int64_t pair) {
        const Row neighbor = row(i);
        const Direction<Real> u = model_.direction(pair);
        elements_[i] = model_.element(pair);
        directions_[i] = u;
        const bool with_slopes = model_.wants_vectors();
        radial_values(model_.basis(), u.distance, neighbor.radial, with_slopes ? neighbor.slopes : nullptr);
        contract(elements_[i], neighbor.radial, neighbor.density);
        if (with_slopes) contract(elements_[i], neighbor.slopes, neighbor.density_slopes);
        harmonics_.values(u, neighbor.space, neighbor.harmonics);
    }

    /// density_n = sum_k c_nk radial_k.
    MHDNN_DEVICE void contract(int element, const Real* radial, Real* density) const {
        const std::int64_t first = (std::int64_t(center_) * shape_.num_elements + element) * shape_.block();
        for (int n = 0; n < shape_.num_densities; ++n) {
            Real total = constant<Real>(T(0));
            for (int k = 0; k < shape_.num_radial; ++k) {
                total = total + model_.coefficient(first + n * shape_.num_radial + k) * radial[k];
            }
            density[n] = total;
        }
    }

    MHDNN_DEVICE void add_neighbors(int count) {
        const int density_place = int(row(0).density - rows_);
        products_.add(count, nullptr, rows_, row_, density_place, moments_);
    }

    MHDNN_DEVICE void neighbor_gradients(int i, std::int64_t pair) {
        const Row neighbor = row(i);
        const int size = shape_.num_densities;
        for (int n = 0; n < size; ++n) neighbor.by_density[n] = constant<Real>(T(0));
        Real* by_harmonic = neighbor.harmonics;  // each is read before its gradient takes its place
        neighbor_gradient(
            size, shape_.num_harmonics(), cotangent_, neighbor.density, neighbor.harmonics, by_harmonic,
            neighbor.by_density);
        if (!model_.wants_vectors()) return;
        Real by_distance = constant<Real>(T(0)), by_x, by_y, by_z, x, y, z;
        for (int n = 0; n < size; ++n) {
            by_distance = by_distance + neighbor.by_density[n] * neighbor.density_slopes[n];
        }
        harmonics_.gradient(directions_[i], neighbor.space, by_harmonic, by_x, by_y, by_z);
        gradient_by_vector(directions_[i], by_distance, by_x, by_y, by_z, x, y, z);
        model_.store_gradient(pair, x, y, z);
    }

    /// A thread for each n and k, over the neighbours of the tile.
    MHDNN_DEVICE void add_table_gradients(int count, T* table_gradient) {
        const int radial_place = int(row(0).radial - rows_), by_density_place = int(row(0).by_density - rows_);
        share(shape_.block(), [&](int i) {
            const int n = i / shape_.num_radial, k = i % shape_.num_radial;
            add_by_group(0, count, 1, elements_, table_gradient + i, shape_.block(), [&](int place) {
                const Real* neighbor = rows_ + place * row_;
                return result(neighbor[by_density_place + n] * neighbor[radial_place + k]);
            });
        });
    }

    DensityShape shape_;
    Model<Real> model_;
    bool keeps_radial_;
    Harmonics<Real> harmonics_;
    Products products_;
    int tile_, row_, center_ = 0;
    T *moments_, *cotangent_;
    Direction<Real>* directions_;
    Real* rows_;
    int* elements_;
};

/// Every output of an atom is written by its block. The gradient by coefficients is written for each atom, of the
/// coefficients of its element (num_elements, num_densities, num_radial).
template <class Real, class T>
MHDNN_KERNEL evaluate_density_atoms(DensityShape shape, Arguments<T> arguments, std::int64_t num_pairs, int tile) {
    MHDNN_SHARED_MEMORY(start);
    Memory memory(start);
    DensityKernel<Real> kernel(shape, arguments, tile, memory);
    kernel.prepare();
    const std::int64_t num_moments = shape.num_moments(), table_size = shape.num_elements * shape.block();
    for (std::int64_t atom = blockIdx.x; atom < arguments.num_atoms; atom += gridDim.x) {
        const Neighbors neighbors = neighbors_of(arguments, num_pairs, atom);
        const auto part = [&](auto* array, std::int64_t size) {
            return array == nullptr ? array : array + atom * size;
        };
        __syncthreads();
        kernel.evaluate(
            atom, neighbors, part(arguments.cotangent, num_moments), part(arguments.functions, num_moments),
            part(arguments.table_gradient, table_size));
    }
}

}  // namespace mhdnn::cuda
