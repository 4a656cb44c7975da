// The operators' arguments, shared by registration and devices.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "arguments.h"
#include "function_lists.h"
#include "moments.h"
#include "triplets.h"

namespace mhdnn {

enum class Kind { radial, legendre, degrees, narrow, wide };

Kind kind_from_name(std::string_view name);
/// Radial functions and cutoff function of an operator's arguments.
/// @throws c10::Error for a cutoff function that there is not
template <class T>
RadialBasis<T> radial_basis(const at::Tensor& etas, const at::Tensor& shifts, double cutoff, std::string_view name) {
    try {
        return {etas.const_data_ptr<T>(),        shifts.const_data_ptr<T>(),       int(etas.size(0)), T(cutoff),
                cutoff_function_from_name(name), T(inner_fraction_from_name(name))};
    } catch (const std::invalid_argument& problem) {
        TORCH_CHECK_VALUE(false, problem.what());
    }
}

/// What an operator takes besides tensors, in the order of the schema.
struct Settings {
    double cutoff;
    std::string cutoff_function;
    std::string kind;
    std::int64_t max_degree;
    bool cross_terms;
    std::vector<std::int64_t> radial_index, zetas, lambdas;
    /// Of the neighbours that each radial function is for (two for each function of pairs), or empty: see lists.h.
    std::vector<std::int64_t> elements;

    bool is_list() const { return !elements.empty(); }
    AngularFunctions functions() const { return {radial_index, zetas, lambdas}; }
};

struct Inputs {
    at::Tensor pair_vectors, channel_table, first_pair, neighbor_element, etas, shifts;
    Settings settings;

    std::int64_t num_atoms() const { return first_pair.size(0) - 1; }
    int num_elements() const { return int(channel_table.size(0)); }
    int num_channels() const { return int(channel_table.size(1)); }
    int num_radial() const { return int(etas.size(0)); }
};

/// Directions of the derivatives.
struct Tangents {
    at::Tensor pair_vectors, channel_table;
};

struct Outputs {
    at::Tensor functions, vector_gradient, table_gradient;
};

/// Evaluates on one device; see `Arguments` for what is returned with a cotangent and with tangents.
using Evaluate = Outputs (*)(
    const Inputs& inputs, const std::optional<at::Tensor>& cotangent, const std::optional<Tangents>& tangents);

/// Length of the descriptor; Int is an integer or a symbolic one.
template <class Int>
Int num_functions(const Settings& settings, Int num_channels, Int num_radial) {
    if (settings.is_list() && kind_from_name(settings.kind) == Kind::radial) return num_radial;
    if (settings.is_list()) return Int(std::int64_t(settings.radial_index.size()));
    const Int num_densities = num_channels * num_radial;
    const Int channel_pairs = num_channels * (num_channels + 1) / 2;
    switch (kind_from_name(settings.kind)) {
        case Kind::radial:
            return num_densities;
        case Kind::legendre:
            return (settings.cross_terms ? num_densities * (num_densities + 1) / 2 : channel_pairs * num_radial) *
                   (settings.max_degree + 1);
        case Kind::degrees:
            return channel_pairs * num_radial * (settings.max_degree + 1);
        default:
            return channel_pairs * std::int64_t(settings.radial_index.size());
    }
}

/// Lists of triplet functions with equal powers merged, as tensors on the device of the model.
struct TripletLists {
    at::Tensor radial_index, power_index, zetas, lambdas;

    explicit TripletLists(const Settings& settings);
    void to(at::Device device);
};

ElementLists element_lists(const Inputs& inputs);
RadialShape radial_shape(const Inputs& inputs);
RadialListShape radial_list_shape(const Inputs& inputs);
MomentShape moment_shape(const Inputs& inputs);
TripletShape triplet_shape(const Inputs& inputs, const TripletLists& lists);

/// Checks that name what is wrong.
/// @throws c10::Error
void check_vectors(const at::Tensor& pair_vectors);
void check_tensor(const at::Tensor& tensor, const char* name, at::IntArrayRef shape, const at::Tensor& like);
void check_index(const at::Tensor& tensor, const char* name, const at::Tensor& like);

/// Contiguous inputs, after a check of shapes and types.
/// @throws c10::Error naming the tensor, what was expected and what came
Inputs checked(Inputs inputs, const std::optional<at::Tensor>& cotangent, const std::optional<Tangents>& tangents);

/// Uninitialised outputs and the pointers of all arrays; the tensors must outlive the result.
template <class T>
Arguments<T> arguments_of(
    const Inputs& inputs, const at::Tensor& cotangent, const Tangents& tangents, std::int64_t num_table_gradients,
    Outputs& outputs);

}  // namespace mhdnn
