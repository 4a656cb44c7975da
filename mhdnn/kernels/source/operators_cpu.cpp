// The operators on the CPU.
#include <ATen/Parallel.h>

#include "cpu/evaluate.h"
#include "operators_registration.h"

namespace mhdnn {
namespace {

/// Indices are checked on the CPU, where it costs next to nothing.
void check_indices(const Inputs& inputs) {
    const std::int64_t num_pairs = inputs.pair_vectors.size(0);
    const auto* first_pair = inputs.first_pair.const_data_ptr<std::int64_t>();
    for (std::int64_t atom = 0; atom < inputs.num_atoms(); ++atom) {
        TORCH_CHECK_VALUE(
            first_pair[atom] <= first_pair[atom + 1], "`first_pair`: expected ascending numbers, got ",
            first_pair[atom + 1], " after ", first_pair[atom], " at atom ", atom);
    }
    TORCH_CHECK_VALUE(
        first_pair[0] == 0 && first_pair[inputs.num_atoms()] == num_pairs,
        "`first_pair`: expected to begin with 0 and to end with the number of pairs ", num_pairs, ", got ",
        first_pair[0], " and ", first_pair[inputs.num_atoms()]);
    const auto* element = inputs.neighbor_element.const_data_ptr<std::int64_t>();
    const int num_elements = inputs.num_elements();
    at::parallel_for(0, num_pairs, 20000, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t pair = first; pair < last; ++pair) {
            TORCH_CHECK_INDEX(
                element[pair] >= 0 && element[pair] < num_elements, "`neighbor_element`: expected 0 to ",
                num_elements - 1, ", got ", element[pair], " at pair ", pair);
        }
    });
}

template <class Real, class Shape, class T>
void evaluate_in_parallel(const Shape& shape, const Arguments<T>& arguments) {
    std::vector<std::uint64_t> keys(arguments.num_atoms);
    at::parallel_for(0, arguments.num_atoms, 1000, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t atom = first; atom < last; ++atom) {
            keys[atom] = cpu::neighbor_key(arguments, shape.num_elements, atom);
        }
    });
    const std::vector<std::int64_t> order = cpu::order_of_keys(keys);
    at::parallel_for(0, cpu::num_groups<T>(arguments.num_atoms), 1, [&](std::int64_t first, std::int64_t last) {
        cpu::evaluate_groups<Real>(shape, arguments, order, first, last);
    });
}

template <class Real, class T>
void evaluate_kind(const Inputs& inputs, const Arguments<T>& arguments) {
    switch (kind_from_name(inputs.settings.kind)) {
        case Kind::radial:
            return evaluate_in_parallel<Real>(radial_shape(inputs), arguments);
        case Kind::legendre:
        case Kind::degrees:
            return evaluate_in_parallel<Real>(moment_shape(inputs), arguments);
        default: {
            const TripletLists lists(inputs.settings);
            return evaluate_in_parallel<Real>(triplet_shape(inputs, lists), arguments);
        }
    }
}

Outputs evaluate_cpu(
    const Inputs& given, const std::optional<at::Tensor>& cotangent, const std::optional<Tangents>& tangents) {
    const Inputs inputs = checked(given, cotangent, tangents);
    check_indices(inputs);
    const at::Tensor weights = cotangent ? cotangent->contiguous() : at::Tensor();
    const Tangents directions =
        tangents ? Tangents{tangents->pair_vectors.contiguous(), tangents->channel_table.contiguous()} : Tangents{};
    Outputs outputs;
    AT_DISPATCH_FLOATING_TYPES(inputs.pair_vectors.scalar_type(), "symmetry_functions", [&] {
        const auto arguments = arguments_of<scalar_t>(
            inputs, weights, directions, cpu::num_groups<scalar_t>(inputs.num_atoms()), outputs);
        if (tangents) {
            evaluate_kind<Dual<Lanes<scalar_t>>>(inputs, arguments);
        } else {
            evaluate_kind<Lanes<scalar_t>>(inputs, arguments);
        }
    });
    if (cotangent) outputs.table_gradient = outputs.table_gradient.sum(0);
    return outputs;
}

}  // namespace

TORCH_LIBRARY_IMPL(mhdnn, CPU, library) { DeviceOperators<evaluate_cpu>::register_in(library); }

}  // namespace mhdnn
