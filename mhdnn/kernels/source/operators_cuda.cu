// The operators on the GPU.
#include <ATen/Dispatch.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "operators_registration.h"

#include "cuda/evaluate.cuh"
#include "operators_device.cuh"

namespace mhdnn {
namespace {

/// Indices are checked by the kernel: a check here would have to wait for the GPU.
template <class Real, class Shape, class T>
void evaluate_on_gpu(const Inputs& inputs, const Shape& shape, const Arguments<T>& arguments) {
    const cuda::Device device = current_device();
    const std::int64_t num_pairs = inputs.pair_vectors.size(0);
    const cuda::Plan plan = cuda::plan_of<Real>(shape, arguments, num_pairs, device);
    TORCH_CHECK_VALUE(
        plan.size.shared_bytes <= device.shared_bytes, "symmetry functions of kind ", inputs.settings.kind,
        ": expected at most ", device.shared_bytes, " bytes of shared memory for an atom on this GPU, got ",
        plan.size.shared_bytes, " with ", shape.num_functions(), " functions of ", shape.num_elements, " elements, ",
        shape.num_channels, " channels and ", shape.num_radial, " radial functions in ",
        inputs.pair_vectors.scalar_type(), "; take fewer of them, a lower max_degree, float32, or the CPU");
    C10_CUDA_CHECK(cuda::evaluate<Real>(shape, arguments, num_pairs, plan, c10::cuda::getCurrentCUDAStream()));
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <class Real, class T>
void evaluate_kind(const Inputs& inputs, const Arguments<T>& arguments) {
    switch (kind_from_name(inputs.settings.kind)) {
        case Kind::radial:
            return evaluate_on_gpu<Real>(inputs, radial_shape(inputs), arguments);
        case Kind::legendre:
        case Kind::degrees:
            return evaluate_on_gpu<Real>(inputs, moment_shape(inputs), arguments);
        default: {
            TripletLists lists(inputs.settings);
            lists.to(inputs.pair_vectors.device());
            return evaluate_on_gpu<Real>(inputs, triplet_shape(inputs, lists), arguments);
        }
    }
}

Outputs evaluate_cuda(
    const Inputs& given, const std::optional<at::Tensor>& cotangent, const std::optional<Tangents>& tangents) {
    const c10::cuda::CUDAGuard guard(given.pair_vectors.device());
    const Inputs inputs = checked(given, cotangent, tangents);
    check_pairs_have_atoms(inputs.pair_vectors, inputs.num_atoms());
    TORCH_CHECK_VALUE(
        !inputs.settings.is_list(),
        "`elements`: lists of functions for certain elements (potentials of n2p2, "
        "descriptor=input_nn) are evaluated on the CPU only; choose the device cpu");
    const at::Tensor weights = cotangent ? cotangent->contiguous() : at::Tensor();
    const Tangents directions =
        tangents ? Tangents{tangents->pair_vectors.contiguous(), tangents->channel_table.contiguous()} : Tangents{};
    Outputs outputs;
    AT_DISPATCH_FLOATING_TYPES(inputs.pair_vectors.scalar_type(), "symmetry_functions", [&] {
        NearPairs near(inputs.first_pair, inputs.pair_vectors.size(0));
        const auto arguments =
            near.given_to(arguments_of<scalar_t>(inputs, weights, directions, inputs.num_atoms(), outputs));
        if (inputs.num_atoms() == 0) return;
        if (tangents) {
            evaluate_kind<Dual<scalar_t>>(inputs, arguments);
        } else {
            evaluate_kind<scalar_t>(inputs, arguments);
        }
    });
    if (cotangent) outputs.table_gradient = outputs.table_gradient.sum(0);
    return outputs;
}

}  // namespace

TORCH_LIBRARY_IMPL(mhdnn, CUDA, library) { DeviceOperators<evaluate_cuda>::register_in(library); }

}  // namespace mhdnn
