// Angular functions of one atom from moments.
#pragma once

#include "../moments.h"
#include "harmonics.cuh"

namespace mhdnn::cuda {

template <class Real>
class MomentKernel {
public:
    using T = Scalar<Real>;

    MHDNN_FUNCTION MomentKernel(const MomentShape& shape, const Arguments<T>& arguments, int tile, Memory& memory)
        : shape_(shape), model_(arguments, shape.num_elements, shape.num_channels, memory), tiles_(tile),
          harmonics_(shape.max_degree, memory), products_(shape.num_radial, shape.num_harmonics()),
          row_(row_length(neighbor_size())), sums_(memory.take<Real>(shape.num_elements * shape.block())),
          moments_(memory.take<Real>(shape.num_channels * shape.block())),
          moment_gradient_(memory.take<Real>(model_.has_cotangent() ? shape.num_channels * shape.block() : 0)),
          own_sums_(memory.take<Real>(shape.num_elements * shape.num_radial)),
          own_sum_gradient_(memory.take<Real>(shape.num_elements * shape.num_radial)),
          partial_(memory.take<Real>(shape.num_elements * shape.num_densities())),
          directions_(memory.take<Direction<Real>>(tile)), rows_(memory.take<Real>(std::size_t(tile) * row_)),
          elements_(memory.take<int>(tile)) {}

    MHDNN_DEVICE void prepare() {
        model_.load();
        harmonics_.prepare();
        products_.prepare();
    }

    /// Moments of the neighbours.
    MHDNN_DEVICE void evaluate(Neighbors neighbors) {
        share(shape_.num_elements * shape_.block(), [&](int i) { sums_[i] = constant<Real>(T(0)); });
        share(shape_.num_elements * shape_.num_radial, [&](int i) { own_sums_[i] = constant<Real>(T(0)); });
        tiles_.forward(
            neighbors, [&](int i, std::int64_t pair) { stage(i, pair); }, [&](int count) { add_neighbors(count); });
        share(shape_.num_channels * shape_.block(), [&](int i) {
            moments_[i] = mixed(model_.table(), sums_, shape_.block(), i / shape_.block(), i % shape_.block());
        });
        __syncthreads();
    }

    MHDNN_DEVICE void functions(T* functions) const {
        const int num_partners = shape_.cross_terms ? shape_.num_densities() : shape_.num_channels;
        share(shape_.num_densities() * num_partners * shape_.num_degrees(), [&](int i) {
            const int l = i % shape_.num_degrees(), partner = i / shape_.num_degrees() % num_partners;
            const int p = i / shape_.num_degrees() / num_partners;
            const int q = shape_.cross_terms ? partner : partner * shape_.num_radial + p % shape_.num_radial;
            if (p > q) return;
            const Real own =
                shape_.own_terms ? constant<Real>(T(0)) : own_term(shape_, model_.table(), own_sums_, p, q);
            functions[shape_.pair(p, q) * shape_.num_degrees() + l] =
                result(moment_product(shape_, moments_, own, p, q, l));
        });
    }

    MHDNN_DEVICE void gradients(Neighbors neighbors, const T* cotangent, T* table_gradient) {
        const bool few =
            shape_.cross_terms && with_few(shape_.num_densities(), [&](auto number) {
                share(shape_.num_harmonics(), [&](int component) {
                    moment_gradients_of_few<decltype(number)::value>(
                        shape_, moments_, cotangent, component, degree_of(component), moment_gradient_ + component);
                });
            });
        share(few ? 0 : shape_.num_channels * shape_.block(), [&](int i) {
            const int p = i / shape_.num_harmonics(), component = i % shape_.num_harmonics();
            moment_gradient_[i] = moment_gradient(shape_, moments_, cotangent, p, component, degree_of(component));
        });
        __syncthreads();
        table_gradients(cotangent, table_gradient);
        __syncthreads();
        // the sums have served; their place takes the gradients by them
        share(shape_.num_elements * shape_.block(), [&](int i) {
            const int element = i / shape_.block(), component = i % shape_.block();
            sums_[i] = unmixed(model_.table(), moment_gradient_, shape_.block(), element, component);
        });
        share(shape_.num_elements * shape_.num_radial, [&](int i) {
            const int element = i / shape_.num_radial, n = i % shape_.num_radial;
            own_sum_gradient_[i] = shape_.own_terms ? constant<Real>(T(0))
                                                    : own_sum_gradient(shape_, model_.table(), cotangent, element, n);
        });
        __syncthreads();
        tiles_.backward(
            neighbors, [&](int i, std::int64_t pair) { stage(i, pair); },
            [&](int i, std::int64_t pair) { store_gradient(i, pair); });
    }

private:
    /// What is kept of a neighbour; the last two arrays serve gradients only.
    struct Row {
        Real *harmonics, *space, *radial, *slopes, *by_radial;
    };

    MHDNN_FUNCTION int neighbor_size() const {
        const int num_arrays = model_.has_cotangent() ? 3 : 1;
        return shape_.num_harmonics() + harmonics_.space() + num_arrays * shape_.num_radial;
    }

    MHDNN_DEVICE Row row(int i) const {
        Real *harmonics = rows_ + i * row_, *space = harmonics + shape_.num_harmonics();
        Real* radial = space + harmonics_.space();
        return {harmonics, space, radial, radial + shape_.num_radial, radial + 2 * shape_.num_radial};
    }

    MHDNN_DEVICE static int degree_of(int component) { return int(square_root(float(component) + 0.5f)); }

    MHDNN_DEVICE void stage(int i, std::int64_t pair) {
        const Row neighbor = row(i);
        const Direction<Real> u = model_.direction(pair);
        elements_[i] = model_.element(pair);
        directions_[i] = u;
        Real* slopes = model_.has_cotangent() ? neighbor.slopes : nullptr;
        radial_values(model_.basis(), u.distance, neighbor.radial, slopes);
        harmonics_.values(u, neighbor.space, neighbor.harmonics);
    }

    MHDNN_DEVICE void add_neighbors(int count) {
        const int radial_place = int(row(0).radial - rows_);
        products_.add(count, elements_, rows_, row_, radial_place, sums_);
        if (shape_.own_terms) return;
        share(shape_.num_radial, [&](int n) {
            add_by_group(0, count, 1, elements_, own_sums_ + n, shape_.num_radial, [&](int i) {
                const Real radial = rows_[i * row_ + radial_place + n];
                return radial * radial;
            });
        });
    }

    /// In parts: a thread for each element and density, then one for each element and channel.
    MHDNN_DEVICE void table_gradients(const T* cotangent, T* table_gradient) {
        const int num_densities = shape_.num_densities(), num_harmonics = shape_.num_harmonics();
        share(shape_.num_elements * num_densities, [&](int i) {
            const int element = i / num_densities, density = i % num_densities;
            const int row = element * shape_.num_radial + density % shape_.num_radial;
            partial_[i] = weight_gradient(
                sums_ + row * num_harmonics, moment_gradient_ + density * num_harmonics, num_harmonics, 0, 0);
        });
        __syncthreads();
        share(shape_.num_elements * shape_.num_channels, [&](int i) {
            Real total = constant<Real>(T(0));
            for (int n = 0; n < shape_.num_radial; ++n) total = total + partial_[i * shape_.num_radial + n];
            if (!shape_.own_terms) {
                const int element = i / shape_.num_channels, channel = i % shape_.num_channels;
                total = total + own_weight_gradient(shape_, model_.table(), own_sums_, cotangent, element, channel);
            }
            table_gradient[i] = result(total);
        });
    }

    MHDNN_DEVICE void store_gradient(int i, std::int64_t pair) {
        const Row neighbor = row(i);
        const int element = elements_[i];
        const Real* own_gradient = own_sum_gradient_ + element * shape_.num_radial;
        for (int n = 0; n < shape_.num_radial; ++n) {
            neighbor.by_radial[n] = own_gradient[n] * neighbor.radial[n] * T(2);
        }
        Real* by_harmonic = neighbor.harmonics;  // each is read before its gradient takes its place
        neighbor_gradient(
            shape_.num_radial, shape_.num_harmonics(), sums_ + element * shape_.block(), neighbor.radial,
            neighbor.harmonics, by_harmonic, neighbor.by_radial);
        Real by_distance = constant<Real>(T(0)), by_x, by_y, by_z, x, y, z;
        for (int n = 0; n < shape_.num_radial; ++n) {
            by_distance = by_distance + neighbor.by_radial[n] * neighbor.slopes[n];
        }
        harmonics_.gradient(directions_[i], neighbor.space, by_harmonic, by_x, by_y, by_z);
        gradient_by_vector(directions_[i], by_distance, by_x, by_y, by_z, x, y, z);
        model_.store_gradient(pair, x, y, z);
    }

    MomentShape shape_;
    Model<Real> model_;
    Tiles tiles_;
    Harmonics<Real> harmonics_;
    Products products_;
    int row_;
    Real *sums_, *moments_, *moment_gradient_, *own_sums_, *own_sum_gradient_, *partial_;
    Direction<Real>* directions_;
    Real* rows_;
    int* elements_;
};

}  // namespace mhdnn::cuda
