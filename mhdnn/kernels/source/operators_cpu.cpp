// The operators on the CPU.
#include "cpu/evaluate.h"
#include "cpu/order.h"
#include "operators_registration.h"

namespace mhdnn {
namespace {

template <class Real, class Shape, class T>
void evaluate_in_parallel(const Shape& shape, const Arguments<T>& arguments) {
    const std::vector<std::int64_t> order = cpu::order_of_atoms(arguments, shape.num_elements);
    cpu::for_groups<T>(arguments.num_atoms, [&](std::int64_t first, std::int64_t last) {
        cpu::evaluate_groups<Real>(shape, arguments, order, first, last);
    });
}

template <class Real, class T>
void evaluate_kind(const Inputs& inputs, const Arguments<T>& arguments) {
    switch (kind_from_name(inputs.settings.kind)) {
        case Kind::radial:
            if (inputs.settings.is_list()) return evaluate_in_parallel<Real>(radial_list_shape(inputs), arguments);
            return evaluate_in_parallel<Real>(radial_shape(inputs), arguments);
        case Kind::legendre:
        case Kind::degrees:
            return evaluate_in_parallel<Real>(moment_shape(inputs), arguments);
        default: {
            if (inputs.settings.is_list()) {
                const ElementLists lists = element_lists(inputs);
                return evaluate_in_parallel<Real>(lists.shape(inputs.num_channels()), arguments);
            }
            const TripletLists lists(inputs.settings);
            return evaluate_in_parallel<Real>(triplet_shape(inputs, lists), arguments);
        }
    }
}

Outputs evaluate_cpu(
    const Inputs& given, const std::optional<at::Tensor>& cotangent, const std::optional<Tangents>& tangents) {
    const Inputs inputs = checked(given, cotangent, tangents);
    cpu::check_indices(inputs.first_pair, inputs.neighbor_element, inputs.num_elements());
    const at::Tensor weights = cotangent ? cotangent->contiguous() : at::Tensor();
    const Tangents directions =
        tangents ? Tangents{tangents->pair_vectors.contiguous(), tangents->channel_table.contiguous()} : Tangents{};
    Outputs outputs;
    AT_DISPATCH_FLOATING_TYPES(inputs.pair_vectors.scalar_type(), "symmetry_functions", [&] {
        const auto arguments =
            arguments_of<scalar_t>(inputs, weights, directions, cpu::num_groups<scalar_t>(inputs.num_atoms()), outputs);
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

TORCH_LIBRARY_FRAGMENT(mhdnn, library) {
    library.def("set_num_threads(int count) -> ()", [](std::int64_t count) { choose_threads(int(count)); });
}

TORCH_LIBRARY_IMPL(mhdnn, CPU, library) { DeviceOperators<evaluate_cpu>::register_in(library); }

}  // namespace mhdnn
