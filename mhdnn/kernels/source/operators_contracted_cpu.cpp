// The operators of contracted functions on the CPU.
#include "cpu/densities.h"
#include "cpu/invariants.h"
#include "cpu/order.h"
#include "operators_contracted.h"

namespace mhdnn {
namespace {

template <class Real, class T>
void evaluate_in_parallel(const DensityShape& shape, const Arguments<T>& arguments) {
    const std::vector<std::int64_t> order = cpu::order_of_atoms(arguments, 1);
    cpu::for_groups<T>(arguments.num_atoms, [&](std::int64_t first, std::int64_t last) {
        cpu::evaluate_densities<Real>(shape, arguments, order, first, last);
    });
}

template <class Real, class T>
void evaluate_in_parallel(const InvariantShape& shape, const InvariantArguments<T>& arguments) {
    cpu::for_groups<T>(arguments.num_atoms, [&](std::int64_t first, std::int64_t last) {
        cpu::evaluate_invariants<Real>(shape, arguments, first, last);
    });
}

DensityOutputs evaluate_densities_cpu(
    const DensityInputs& given, const at::Tensor& cotangent, const Tangents& tangents, Wanted wanted) {
    const DensityInputs inputs = checked(given, cotangent, tangents);
    const DensityShape shape = density_shape(inputs);
    cpu::check_indices(inputs.first_pair, inputs.neighbor_element, shape.num_elements);
    cpu::check_elements(inputs.center_element, "center_element", "atom", shape.num_elements);
    const at::Tensor weights = contiguous(cotangent);
    const Tangents directions{contiguous(tangents.pair_vectors), contiguous(tangents.channel_table)};
    DensityOutputs outputs;
    AT_DISPATCH_FLOATING_TYPES(inputs.pair_vectors.scalar_type(), "density_moments", [&] {
        const std::int64_t gradient_shape[] = {
            cpu::num_groups<scalar_t>(inputs.num_atoms()), shape.num_elements, shape.num_elements, shape.num_radial,
            cpu::num_rows<scalar_t>(shape.num_densities) * Lanes<scalar_t>::width};
        const auto arguments = arguments_of<scalar_t>(inputs, weights, directions, wanted, gradient_shape, outputs);
        if (directions.pair_vectors.defined()) {
            evaluate_in_parallel<Dual<Lanes<scalar_t>>>(shape, arguments);
        } else {
            evaluate_in_parallel<Lanes<scalar_t>>(shape, arguments);
        }
    });
    if (cotangent.defined() && wanted.by_coefficients) {
        const at::Tensor rows = outputs.coefficient_gradient.sum(0).narrow(3, 0, shape.num_densities);
        outputs.coefficient_gradient = rows.transpose(2, 3).contiguous();
    }
    return outputs;
}

InvariantOutputs evaluate_invariants_cpu(
    const InvariantInputs& given, const at::Tensor& cotangent, const at::Tensor& tangents) {
    const InvariantInputs inputs = checked(given, cotangent, tangents);
    const InvariantShape shape = invariant_shape(inputs, four_body_tables(inputs).shape());
    const at::Tensor weights = contiguous(cotangent), directions = contiguous(tangents);
    InvariantOutputs outputs;
    AT_DISPATCH_FLOATING_TYPES(inputs.moments.scalar_type(), "density_invariants", [&] {
        const auto arguments = arguments_of<scalar_t>(inputs, weights, directions, outputs);
        if (directions.defined()) {
            evaluate_in_parallel<Dual<Lanes<scalar_t>>>(shape, arguments);
        } else {
            evaluate_in_parallel<Lanes<scalar_t>>(shape, arguments);
        }
    });
    return outputs;
}

}  // namespace

TORCH_LIBRARY_IMPL(mhdnn, CPU, library) {
    DeviceDensities<evaluate_densities_cpu>::register_in(library);
    DeviceInvariants<evaluate_invariants_cpu>::register_in(library);
}

}  // namespace mhdnn
