// Radial functions of one atom.
#pragma once

#include "block.cuh"

namespace mhdnn::cuda {

template <class Real>
class RadialKernel {
public:
    using T = Scalar<Real>;

    MHDNN_FUNCTION RadialKernel(const RadialShape& shape, const Arguments<T>& arguments, int tile, Memory& memory)
        : shape_(shape), model_(arguments, shape.num_elements, shape.num_channels, memory), tiles_(tile),
          row_(row_length(2 * shape.num_radial)), sums_(memory.take<Real>(shape.num_elements * shape.num_radial)),
          gradient_(memory.take<Real>(shape.num_elements * shape.num_radial)),
          spread_(memory.take<Real>(shape.num_functions())), directions_(memory.take<Direction<Real>>(tile)),
          radial_(memory.take<Real>(std::size_t(tile) * row_)), elements_(memory.take<int>(tile)) {}

    MHDNN_DEVICE void prepare() { model_.load(); }

    /// Sums over neighbours.
    MHDNN_DEVICE void evaluate(Neighbors neighbors) {
        share(shape_.num_elements * shape_.num_radial, [&](int i) { sums_[i] = constant<Real>(T(0)); });
        const auto add = [&](int count) {
            share(shape_.num_radial, [&](int n) {
                add_by_group(
                    0, count, 1, elements_, sums_ + n, shape_.num_radial, [&](int i) { return radial_[i * row_ + n]; });
            });
        };
        tiles_.forward(neighbors, [&](int i, std::int64_t pair) { stage(i, pair); }, add);
    }

    MHDNN_DEVICE void functions(T* functions) const {
        const int num_radial = shape_.num_radial;
        share(shape_.num_functions(), [&](int i) {
            functions[i] = result(mixed(model_.table(), sums_, num_radial, i / num_radial, i % num_radial));
        });
    }

    MHDNN_DEVICE void gradients(Neighbors neighbors, const T* cotangent, T* table_gradient) {
        const int num_radial = shape_.num_radial;
        share(shape_.num_functions(), [&](int i) { spread_[i] = with_tangent<Real>(cotangent[i], T(0)); });
        __syncthreads();
        share(shape_.num_elements * num_radial, [&](int i) {
            gradient_[i] = unmixed(model_.table(), spread_, num_radial, i / num_radial, i % num_radial);
        });
        share(shape_.num_elements * shape_.num_channels, [&](int i) {
            const int element = i / shape_.num_channels, channel = i % shape_.num_channels;
            table_gradient[i] = result(weight_gradient(sums_, spread_, num_radial, element, channel));
        });
        __syncthreads();
        tiles_.backward(
            neighbors, [&](int i, std::int64_t pair) { stage(i, pair); },
            [&](int i, std::int64_t pair) { store_gradient(i, pair); });
    }

private:
    MHDNN_DEVICE void stage(int i, std::int64_t pair) {
        elements_[i] = model_.element(pair);
        directions_[i] = model_.direction(pair);
        Real* radial = radial_ + i * row_;
        radial_values(model_.basis(), directions_[i].distance, radial, radial + shape_.num_radial);
    }

    MHDNN_DEVICE void store_gradient(int i, std::int64_t pair) {
        const Real *gradient = gradient_ + elements_[i] * shape_.num_radial,
                   *slopes = radial_ + i * row_ + shape_.num_radial;
        Real by_distance = constant<Real>(T(0));
        for (int n = 0; n < shape_.num_radial; ++n) by_distance = by_distance + gradient[n] * slopes[n];
        const Direction<Real>& u = directions_[i];
        model_.store_gradient(pair, by_distance * u.x, by_distance * u.y, by_distance * u.z);
    }

    RadialShape shape_;
    Model<Real> model_;
    Tiles tiles_;
    int row_;
    Real *sums_, *gradient_, *spread_;
    Direction<Real>* directions_;
    Real* radial_;
    int* elements_;
};

}  // namespace mhdnn::cuda
