// The operators of one device from its evaluation.
#pragma once

#include <torch/library.h>

#include "operators.h"

namespace mhdnn {

// clang-format off
#define MHDNN_ARGUMENTS                                                                                       \
    const at::Tensor &pair_vectors, const at::Tensor &channel_table, const at::Tensor &first_pair,             \
    const at::Tensor &neighbor_element, const at::Tensor &etas, const at::Tensor &shifts, double cutoff,       \
    std::string_view cutoff_function, std::string_view kind, std::int64_t max_degree, bool cross_terms,        \
    at::IntArrayRef radial_index, at::IntArrayRef zetas, at::IntArrayRef lambdas, at::IntArrayRef elements
#define MHDNN_INPUTS                                                                                          \
    Inputs {                                                                                                  \
        pair_vectors, channel_table, first_pair, neighbor_element, etas, shifts,                               \
        Settings {                                                                                            \
            cutoff, std::string(cutoff_function), std::string(kind), max_degree, cross_terms,                  \
            radial_index.vec(), zetas.vec(), lambdas.vec(), elements.vec()                                     \
        }                                                                                                     \
    }
// clang-format on

template <Evaluate evaluate>
struct DeviceOperators {
    static at::Tensor functions(MHDNN_ARGUMENTS) { return evaluate(MHDNN_INPUTS, {}, {}).functions; }

    static std::tuple<at::Tensor, at::Tensor> vjp(const at::Tensor& cotangent, MHDNN_ARGUMENTS) {
        const Outputs outputs = evaluate(MHDNN_INPUTS, cotangent, {});
        return {outputs.vector_gradient, outputs.table_gradient};
    }

    static std::tuple<at::Tensor, at::Tensor, at::Tensor> vjp_tangent(
        const at::Tensor& cotangent, const at::Tensor& pair_tangents, const at::Tensor& table_tangents,
        MHDNN_ARGUMENTS) {
        const Outputs outputs = evaluate(MHDNN_INPUTS, cotangent, Tangents{pair_tangents, table_tangents});
        return {outputs.functions, outputs.vector_gradient, outputs.table_gradient};
    }

    static void register_in(torch::Library& library) {
        library.impl("symmetry_functions", &functions);
        library.impl("symmetry_functions_vjp", &vjp);
        library.impl("symmetry_functions_vjp_tangent", &vjp_tangent);
    }
};

}  // namespace mhdnn
