// Invariants of moments: a block of threads for every atom.
#pragma once

#include "../invariants.h"
#include "block.cuh"

namespace mhdnn::cuda {

template <class Real>
class InvariantKernel {
public:
    using T = Scalar<Real>;

    MHDNN_FUNCTION InvariantKernel(const InvariantShape& shape, Memory& memory)
        : shape_(shape), moments_(memory.take<Real>(shape.num_moments())),
          coupled_(memory.take<Real>(shape.four_body.num_values)),
          by_coupled_(memory.take<Real>(shape.four_body.num_values)) {}

    /// The first step of functions and gradients.
    MHDNN_DEVICE void load(const T* moments, const T* tangents) {
        share(shape_.num_moments(), [&](int i) {
            moments_[i] = with_tangent<Real>(moments[i], tangents == nullptr ? T(0) : tangents[i]);
        });
        __syncthreads();
        share_coupled([&](int value, int row, int place) {
            coupled_[value] = coupled_value(shape_.four_body, view(), row, place);
        });
        __syncthreads();
    }

    MHDNN_DEVICE void functions(T* functions) const {
        const MomentShape pairs = shape_.pairs();
        const int size = shape_.num_densities, num_degrees = pairs.num_degrees();
        share(size * size * num_degrees, [&](int i) {
            const int l = i % num_degrees, p = i / num_degrees / size, q = i / num_degrees % size;
            if (p > q) return;
            functions[pairs.pair(p, q) * num_degrees + l] =
                result(moment_product(pairs, moments_, constant<Real>(T(0)), p, q, l));
        });
        const FourBodyShape& four_body = shape_.four_body;
        share(four_body.num_rows * four_body.num_densities, [&](int i) {
            const int row = i / four_body.num_densities, third = i % four_body.num_densities;
            const CoupledRow& r = four_body.rows[row];
            if (third < r.first_third) return;
            functions[shape_.num_three_body() + r.first_function + third - r.first_third] =
                result(four_body_function(four_body, view(), coupled_, row, third));
        });
    }

    MHDNN_DEVICE void gradients(const T* cotangent, T* moment_gradient) {
        const T* of_four_body = cotangent + shape_.num_three_body();
        share_coupled([&](int value, int row, int place) {
            by_coupled_[value] = coupled_gradient(shape_.four_body, view(), of_four_body, row, place);
        });
        __syncthreads();
        share(shape_.num_moments(), [&](int i) {
            const int n = i / shape_.num_harmonics(), component = i % shape_.num_harmonics();
            const int l = int(square_root(float(component) + 0.5f));
            moment_gradient[i] =
                result(invariant_gradient(shape_, moments_, coupled_, by_coupled_, cotangent, n, component, l));
        });
    }

private:
    MHDNN_FUNCTION Moments<Real> view() const { return {moments_, shape_.num_harmonics()}; }

    /// The threads share B of all rows: action(number, row, place).
    template <class Action>
    MHDNN_DEVICE void share_coupled(Action action) const {
        const FourBodyShape& four_body = shape_.four_body;
        const int most_places = 2 * four_body.max_degree + 1;
        share(four_body.num_rows * most_places, [&](int i) {
            const int row = i / most_places, place = i % most_places;
            if (place < four_body.num_places(row)) action(four_body.rows[row].first_value + place, row, place);
        });
    }

    InvariantShape shape_;
    Real *moments_, *coupled_, *by_coupled_;
};

template <class Real, class T>
MHDNN_KERNEL evaluate_invariant_atoms(InvariantShape shape, InvariantArguments<T> arguments) {
    MHDNN_SHARED_MEMORY(start);
    Memory memory(start);
    InvariantKernel<Real> kernel(shape, memory);
    const std::int64_t num_functions = shape.num_functions(), num_moments = shape.num_moments();
    for (std::int64_t atom = blockIdx.x; atom < arguments.num_atoms; atom += gridDim.x) {
        const T* tangents = arguments.moment_tangents;
        __syncthreads();
        kernel.load(
            arguments.moments + atom * num_moments, tangents == nullptr ? nullptr : tangents + atom * num_moments);
        if (arguments.functions != nullptr) kernel.functions(arguments.functions + atom * num_functions);
        if (arguments.cotangent != nullptr) {
            kernel.gradients(
                arguments.cotangent + atom * num_functions, arguments.moment_gradient + atom * num_moments);
        }
    }
}

}  // namespace mhdnn::cuda
