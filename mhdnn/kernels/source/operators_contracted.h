// The operators of contracted functions: density_moments(pair vectors, coefficients) and density_invariants(moments).
// Their derivatives need one pass over the neighbours each, for the moments in between are kept.
#pragma once

#include <torch/library.h>

#include "couplings.h"
#include "densities.h"
#include "invariants.h"
#include "operators.h"

namespace mhdnn {

struct DensityInputs {
    at::Tensor pair_vectors, coefficients, first_pair, center_element, neighbor_element, etas, shifts;
    double cutoff;
    std::string cutoff_function;
    std::int64_t max_degree;

    std::int64_t num_atoms() const { return first_pair.size(0) - 1; }
};

/// Which gradients are wanted; the others come out empty.
struct Wanted {
    bool by_vectors, by_coefficients;
};

struct DensityOutputs {
    at::Tensor moments, vector_gradient, coefficient_gradient;
};

/// Evaluates on one device: moments; or with a cotangent the gradients; or with tangents (of pair_vectors and
/// coefficients) the derivatives of all along them. Undefined tensors are not given.
using EvaluateDensities = DensityOutputs (*)(
    const DensityInputs& inputs, const at::Tensor& cotangent, const Tangents& tangents, Wanted wanted);

struct InvariantInputs {
    at::Tensor moments;
    std::int64_t four_body_degree, four_body_densities;
};

struct InvariantOutputs {
    at::Tensor functions, moment_gradient;
};

using EvaluateInvariants =
    InvariantOutputs (*)(const InvariantInputs& inputs, const at::Tensor& cotangent, const at::Tensor& tangents);

DensityShape density_shape(const DensityInputs& inputs);
InvariantShape invariant_shape(const InvariantInputs& inputs, const FourBodyShape& four_body);

/// Lists of the four-body functions, made once for each choice of degree and number of densities.
const FourBodyTables& four_body_tables(const InvariantInputs& inputs);

/// Length of the descriptor.
at::SymInt num_invariants(const InvariantInputs& inputs);

/// Contiguous inputs, after a check of shapes and types.
/// @throws c10::Error naming the tensor, what was expected and what came
DensityInputs checked(DensityInputs inputs, const at::Tensor& cotangent, const Tangents& tangents);
InvariantInputs checked(InvariantInputs inputs, const at::Tensor& cotangent, const at::Tensor& tangents);

/// Uninitialised outputs and the pointers of all arrays; gradient_shape is that of the coefficients' gradient before
/// it is summed. All tensors are contiguous and must outlive the result.
template <class T>
Arguments<T> arguments_of(
    const DensityInputs& inputs, const at::Tensor& cotangent, const Tangents& tangents, Wanted wanted,
    at::IntArrayRef gradient_shape, DensityOutputs& outputs);
template <class T>
InvariantArguments<T> arguments_of(
    const InvariantInputs& inputs, const at::Tensor& cotangent, const at::Tensor& tangents, InvariantOutputs& outputs);

/// A tensor in one piece, or none.
inline at::Tensor contiguous(const at::Tensor& tensor) { return tensor.defined() ? tensor.contiguous() : tensor; }

// clang-format off
#define MHDNN_DENSITY_ARGUMENTS                                                                               \
    const at::Tensor &pair_vectors, const at::Tensor &coefficients, const at::Tensor &first_pair,              \
    const at::Tensor &center_element, const at::Tensor &neighbor_element, const at::Tensor &etas,              \
    const at::Tensor &shifts, double cutoff, std::string_view cutoff_function, std::int64_t max_degree
#define MHDNN_DENSITY_INPUTS                                                                                  \
    DensityInputs {                                                                                           \
        pair_vectors, coefficients, first_pair, center_element, neighbor_element, etas, shifts, cutoff,        \
        std::string(cutoff_function), max_degree                                                              \
    }
#define MHDNN_INVARIANT_ARGUMENTS                                                                             \
    const at::Tensor &moments, std::int64_t four_body_degree, std::int64_t four_body_densities
#define MHDNN_INVARIANT_INPUTS InvariantInputs { moments, four_body_degree, four_body_densities }
// clang-format on

template <EvaluateDensities evaluate>
struct DeviceDensities {
    static at::Tensor moments(MHDNN_DENSITY_ARGUMENTS) {
        return evaluate(MHDNN_DENSITY_INPUTS, {}, {}, {false, false}).moments;
    }

    static std::tuple<at::Tensor, at::Tensor> vjp(
        const at::Tensor& cotangent, bool by_vectors, bool by_coefficients, MHDNN_DENSITY_ARGUMENTS) {
        const auto outputs = evaluate(MHDNN_DENSITY_INPUTS, cotangent, {}, {by_vectors, by_coefficients});
        return {outputs.vector_gradient, outputs.coefficient_gradient};
    }

    static std::tuple<at::Tensor, at::Tensor, at::Tensor> vjp_tangent(
        const at::Tensor& cotangent, const at::Tensor& pair_tangents, const at::Tensor& coefficient_tangents,
        bool by_vectors, bool by_coefficients, MHDNN_DENSITY_ARGUMENTS) {
        const auto outputs = evaluate(
            MHDNN_DENSITY_INPUTS, cotangent, {pair_tangents, coefficient_tangents}, {by_vectors, by_coefficients});
        return {outputs.moments, outputs.vector_gradient, outputs.coefficient_gradient};
    }

    static void register_in(torch::Library& library) {
        library.impl("density_moments", &moments);
        library.impl("density_moments_vjp", &vjp);
        library.impl("density_moments_vjp_tangent", &vjp_tangent);
    }
};

template <EvaluateInvariants evaluate>
struct DeviceInvariants {
    static at::Tensor functions(MHDNN_INVARIANT_ARGUMENTS) {
        return evaluate(MHDNN_INVARIANT_INPUTS, {}, {}).functions;
    }

    static at::Tensor vjp(const at::Tensor& cotangent, MHDNN_INVARIANT_ARGUMENTS) {
        return evaluate(MHDNN_INVARIANT_INPUTS, cotangent, {}).moment_gradient;
    }

    static std::tuple<at::Tensor, at::Tensor> vjp_tangent(
        const at::Tensor& cotangent, const at::Tensor& moment_tangents, MHDNN_INVARIANT_ARGUMENTS) {
        const auto outputs = evaluate(MHDNN_INVARIANT_INPUTS, cotangent, moment_tangents);
        return {outputs.functions, outputs.moment_gradient};
    }

    static void register_in(torch::Library& library) {
        library.impl("density_invariants", &functions);
        library.impl("density_invariants_vjp", &vjp);
        library.impl("density_invariants_vjp_tangent", &vjp_tangent);
    }
};

}  // namespace mhdnn
