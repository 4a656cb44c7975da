// The operators of contracted functions on the GPU.
#include <ATen/Context.h>
#include <ATen/Dispatch.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <map>
#include <mutex>

#include "operators_contracted.h"

#include "cuda/evaluate.cuh"
#include "operators_device.cuh"

namespace mhdnn {
namespace {

/// The lists of four-body functions on a GPU, copied once.
class DeviceTables {
public:
    DeviceTables(const FourBodyTables& tables, at::Device device)
        : shape_(tables.shape()), couplings_(copy(tables.couplings, device)), rows_(copy(tables.rows, device)),
          starts_(copy(tables.starts, device)), terms_(copy(tables.terms, device)),
          use_starts_(copy(tables.use_starts, device)), uses_(copy(tables.uses, device)) {
        shape_.couplings = static_cast<const Coupling*>(couplings_.const_data_ptr());
        shape_.rows = static_cast<const CoupledRow*>(rows_.const_data_ptr());
        shape_.starts = static_cast<const int*>(starts_.const_data_ptr());
        shape_.terms = static_cast<const CouplingTerm*>(terms_.const_data_ptr());
        shape_.use_starts = static_cast<const int*>(use_starts_.const_data_ptr());
        shape_.uses = static_cast<const CouplingUse*>(uses_.const_data_ptr());
    }

    const FourBodyShape& shape() const { return shape_; }

private:
    template <class Entry>
    static at::Tensor copy(const std::vector<Entry>& list, at::Device device) {
        const std::int64_t size = std::int64_t(list.size() * sizeof(Entry));
        const at::Tensor bytes = at::from_blob(const_cast<Entry*>(list.data()), {size}, at::kByte);
        return bytes.to(device, /*non_blocking=*/true);
    }

    FourBodyShape shape_;
    at::Tensor couplings_, rows_, starts_, terms_, use_starts_, uses_;
};

const FourBodyShape& four_body_on(at::Device device, const InvariantInputs& inputs) {
    using Key = std::tuple<std::int64_t, std::int64_t, int>;
    static std::mutex mutex;
    static auto* known = new std::map<Key, DeviceTables>;  // never freed: the GPU may be gone at exit
    const FourBodyTables& tables = four_body_tables(inputs);
    const Key key{inputs.four_body_degree, inputs.four_body_densities, int(device.index())};
    const std::lock_guard<std::mutex> lock(mutex);
    return known->try_emplace(key, tables, device).first->second.shape();
}

template <class Real, class T>
void evaluate_on_gpu(const DensityInputs& inputs, const DensityShape& shape, const Arguments<T>& arguments) {
    const cuda::Device device = current_device();
    const std::int64_t num_pairs = inputs.pair_vectors.size(0);
    const cuda::Plan plan = cuda::plan_of<Real>(shape, arguments, num_pairs, device);
    TORCH_CHECK_VALUE(
        plan.size.shared_bytes <= device.shared_bytes, "contracted functions: expected at most ", device.shared_bytes,
        " bytes of shared memory for an atom on this GPU, got ", plan.size.shared_bytes, " with ", shape.num_densities,
        " densities of ", shape.num_radial, " radial functions up to degree ", shape.max_degree, " in ",
        inputs.pair_vectors.scalar_type(), "; take fewer of them, a lower max_degree, float32, or the CPU");
    C10_CUDA_CHECK(
        cuda::evaluate_densities<Real>(shape, arguments, num_pairs, plan, c10::cuda::getCurrentCUDAStream()));
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

DensityOutputs evaluate_densities_cuda(
    const DensityInputs& given, const at::Tensor& cotangent, const Tangents& tangents, Wanted wanted) {
    const c10::cuda::CUDAGuard guard(given.pair_vectors.device());
    const DensityInputs inputs = checked(given, cotangent, tangents);
    const DensityShape shape = density_shape(inputs);
    check_pairs_have_atoms(inputs.pair_vectors, inputs.num_atoms());
    const at::Tensor weights = contiguous(cotangent);
    const Tangents directions{contiguous(tangents.pair_vectors), contiguous(tangents.channel_table)};
    const std::int64_t gradient_shape[] = {
        inputs.num_atoms(), shape.num_elements, shape.num_densities, shape.num_radial};
    DensityOutputs outputs;
    AT_DISPATCH_FLOATING_TYPES(inputs.pair_vectors.scalar_type(), "density_moments", [&] {
        NearPairs near(inputs.first_pair, inputs.pair_vectors.size(0));
        const auto arguments =
            near.given_to(arguments_of<scalar_t>(inputs, weights, directions, wanted, gradient_shape, outputs));
        if (inputs.num_atoms() == 0) return;
        if (directions.pair_vectors.defined()) {
            evaluate_on_gpu<Dual<scalar_t>>(inputs, shape, arguments);
        } else {
            evaluate_on_gpu<scalar_t>(inputs, shape, arguments);
        }
    });
    if (!cotangent.defined() || !wanted.by_coefficients) return outputs;
    // sums over the atoms of each element as a product of matrices: no order of summation is left to chance
    const at::NoTF32Guard exact;
    const at::Tensor centers = inputs.center_element.unsqueeze(0);
    const at::Tensor is_element =
        at::zeros({shape.num_elements, inputs.num_atoms()}, inputs.pair_vectors.options()).scatter_(0, centers, 1.0);
    const std::int64_t of_center = std::int64_t(shape.num_elements) * shape.block();
    outputs.coefficient_gradient = is_element.mm(outputs.coefficient_gradient.view({inputs.num_atoms(), of_center}))
                                       .view(inputs.coefficients.sizes());
    return outputs;
}

template <class Real, class T>
void evaluate_on_gpu(
    const InvariantInputs& inputs, const InvariantShape& shape, const InvariantArguments<T>& arguments) {
    const cuda::Device device = current_device();
    const cuda::Plan plan = cuda::plan_of<Real>(shape, arguments, device);
    TORCH_CHECK_VALUE(
        plan.size.shared_bytes <= device.shared_bytes, "invariants of densities: expected at most ",
        device.shared_bytes, " bytes of shared memory for an atom on this GPU, got ", plan.size.shared_bytes, " in ",
        inputs.moments.scalar_type(), "; take fewer densities or lower degrees, float32, or the CPU");
    C10_CUDA_CHECK(cuda::evaluate_invariants<Real>(shape, arguments, plan, c10::cuda::getCurrentCUDAStream()));
    C10_CUDA_KERNEL_LAUNCH_CHECK();
}

InvariantOutputs evaluate_invariants_cuda(
    const InvariantInputs& given, const at::Tensor& cotangent, const at::Tensor& tangents) {
    const c10::cuda::CUDAGuard guard(given.moments.device());
    const InvariantInputs inputs = checked(given, cotangent, tangents);
    const InvariantShape shape = invariant_shape(inputs, four_body_on(inputs.moments.device(), inputs));
    const at::Tensor weights = contiguous(cotangent), directions = contiguous(tangents);
    InvariantOutputs outputs;
    AT_DISPATCH_FLOATING_TYPES(inputs.moments.scalar_type(), "density_invariants", [&] {
        const auto arguments = arguments_of<scalar_t>(inputs, weights, directions, outputs);
        if (inputs.moments.size(0) == 0) return;
        if (directions.defined()) {
            evaluate_on_gpu<Dual<scalar_t>>(inputs, shape, arguments);
        } else {
            evaluate_on_gpu<scalar_t>(inputs, shape, arguments);
        }
    });
    return outputs;
}

}  // namespace

TORCH_LIBRARY_IMPL(mhdnn, CUDA, library) {
    DeviceDensities<evaluate_densities_cuda>::register_in(library);
    DeviceInvariants<evaluate_invariants_cuda>::register_in(library);
}

}  // namespace mhdnn
