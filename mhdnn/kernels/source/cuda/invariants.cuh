// Invariants of moments: a block of threads for every atom.
#pragma once

#include "../invariants.h"
#include "block.cuh"

namespace mhdnn::cuda {

template <class Real>
class InvariantKernel {
public:
    using T = Scalar<Real>;

    MHDNN_FUNCTION InvariantKernel(const InvariantShape& shape, bool with_gradients, Memory& memory)
        : shape_(shape), moments_(memory.take<Real>(shape.num_moments())),
          coupled_(memory.take<Real>(shape.four_body.num_values)),
          by_coupled_(memory.take<Real>(with_gradients ? shape.four_body.num_values : 0)),
          gradient_(memory.take<Real>(with_gradients ? shape.num_moments() : 0)),
          cotangent_(memory.take<T>(with_gradients ? shape.num_functions() : 0)) {}

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
        const int num_degrees = pairs.num_degrees(), num_pairs = pairs.num_pairs();
        // degree by degree: threads that run together then add up equally many products
        share(num_pairs * num_degrees, [&](int i) {
            const int l = i / num_pairs;
            int p, q;
            pair_of_number(i % num_pairs, shape_.num_densities, p, q);
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
        share(shape_.num_functions(), [&](int i) { cotangent_[i] = cotangent[i]; });
        __syncthreads();
        share_coupled([&](int value, int row, int place) {
            by_coupled_[value] =
                coupled_gradient(shape_.four_body, view(), cotangent_ + shape_.num_three_body(), row, place);
        });
        gradients_of_pairs();
        __syncthreads();
        gradients_of_four_body();
        __syncthreads();
        share(shape_.num_moments(), [&](int i) { moment_gradient[i] = result(gradient_[i]); });
    }

private:
    MHDNN_DEVICE static int degree_of(int component) { return int(square_root(float(component) + 0.5f)); }

    MHDNN_DEVICE void gradients_of_pairs() {
        const MomentShape pairs = shape_.pairs();
        const int num_harmonics = shape_.num_harmonics();
        const bool few = with_few(shape_.num_densities, [&](auto number) {
            share(num_harmonics, [&](int component) {
                moment_gradients_of_few<decltype(number)::value>(
                    pairs, moments_, cotangent_, component, degree_of(component), gradient_ + component);
            });
        });
        share(few ? 0 : shape_.num_moments(), [&](int i) {
            const int n = i / num_harmonics, component = i % num_harmonics;
            gradient_[i] = moment_gradient(pairs, moments_, cotangent_, n, component, degree_of(component));
        });
    }

    /// Of the few moments that have any, so that no thread waits for one of them.
    MHDNN_DEVICE void gradients_of_four_body() {
        const FourBodyShape& four_body = shape_.four_body;
        const int num_components = (four_body.max_degree + 1) * (four_body.max_degree + 1);
        share(four_body.num_densities * num_components, [&](int i) {
            const int n = i / num_components, component = i % num_components;
            Real& gradient = gradient_[n * shape_.num_harmonics() + component];
            gradient = gradient + four_body_gradient(
                                      four_body, view(), coupled_, by_coupled_, cotangent_ + shape_.num_three_body(), n,
                                      component, degree_of(component));
        });
    }

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
    Real *moments_, *coupled_, *by_coupled_, *gradient_;
    T* cotangent_;
};

template <class Real, class T>
MHDNN_KERNEL evaluate_invariant_atoms(InvariantShape shape, InvariantArguments<T> arguments) {
    MHDNN_SHARED_MEMORY(start);
    Memory memory(start);
    InvariantKernel<Real> kernel(shape, arguments.cotangent != nullptr, memory);
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
