// The CUDA kernels of contracted functions on the CPU for tests, with raw pointers for ctypes.
#include "cuda_emulation.h"

#include "couplings.h"
#include "cuda/evaluate.cuh"

using namespace mhdnn;

extern "C" {

/// Arrays of one precision are behind void pointers; null where something is not given or not wanted. A tile of 0 and
/// threads of 0 leave the choice to the plan for the device.
struct EmulatedDensities {
    std::int64_t threads, tile, blocks, device_shared_bytes;
    std::int64_t num_atoms, num_pairs, num_elements, num_densities, num_radial, max_degree;
    const std::int64_t *first_pair, *center_element, *neighbor_element;
    const void *pair_vectors, *pair_tangents, *coefficients, *coefficient_tangents, *etas, *shifts;
    double cutoff;
    std::int64_t cutoff_function;
    const void* cotangent;
    void *moments, *vector_gradient, *coefficient_gradient;
};

struct EmulatedInvariants {
    std::int64_t threads, tile, blocks, device_shared_bytes;
    std::int64_t num_atoms, num_densities, max_degree, four_body_degree, four_body_densities;
    const void *moments, *moment_tangents, *cotangent;
    void *functions, *moment_gradient;
};
}

namespace {

enum ContractedStatus { contracted_ok, contracted_damaged_memory, contracted_too_little_memory };

template <class Call>
void take_launch(const Call& call, cuda::Plan& plan) {
    if (call.threads > 0) plan.size.threads = int(call.threads);
    if (call.blocks > 0) plan.size.blocks = int(call.blocks);
}

template <class Real, class T>
int evaluate_densities(const EmulatedDensities& c, Arguments<T> arguments) {
    std::vector<std::int64_t> near(c.num_pairs + 1), num_near(c.num_atoms + 1);  // never without an address
    arguments.near_pair = near.data();
    arguments.num_near = num_near.data();
    const DensityShape shape{int(c.num_elements), int(c.num_densities), int(c.num_radial), int(c.max_degree)};
    const cuda::Device device{std::size_t(c.device_shared_bytes), 1};
    cuda::Plan plan = cuda::plan_of<Real>(shape, arguments, c.num_pairs, device);
    take_launch(c, plan);
    if (c.tile > 0) {
        plan.tile = int(c.tile);
        plan.size.shared_bytes = cuda::shared_bytes<Real>(shape, arguments, plan.tile);
    }
    if (plan.size.shared_bytes > device.shared_bytes) return contracted_too_little_memory;
    const auto status = cuda::evaluate_densities<Real>(shape, arguments, c.num_pairs, plan, nullptr);
    return status == cudaSuccess ? contracted_ok : contracted_damaged_memory;
}

template <class T>
int evaluate(const EmulatedDensities& c) {
    const auto read = [](const void* array) { return static_cast<const T*>(array); };
    const auto write = [](void* array) { return static_cast<T*>(array); };
    const Arguments<T> arguments{
        c.num_atoms,
        c.first_pair,
        c.neighbor_element,
        read(c.pair_vectors),
        read(c.pair_tangents),
        read(c.coefficients),
        read(c.coefficient_tangents),
        {read(c.etas), read(c.shifts), int(c.num_radial), T(c.cutoff), CutoffFunction(c.cutoff_function)},
        read(c.cotangent),
        write(c.moments),
        write(c.vector_gradient),
        write(c.coefficient_gradient),
        c.center_element};
    if (c.pair_tangents != nullptr) return evaluate_densities<Dual<T>>(c, arguments);
    return evaluate_densities<T>(c, arguments);
}

template <class Real, class T>
int evaluate_invariants(const EmulatedInvariants& c, const InvariantArguments<T>& arguments) {
    const FourBodyTables tables(int(c.four_body_degree), int(c.four_body_densities));
    const InvariantShape shape{int(c.num_densities), int(c.max_degree), tables.shape()};
    const cuda::Device device{std::size_t(c.device_shared_bytes), 1};
    cuda::Plan plan = cuda::plan_of<Real>(shape, arguments, device);
    take_launch(c, plan);
    if (plan.size.shared_bytes > device.shared_bytes) return contracted_too_little_memory;
    const auto status = cuda::evaluate_invariants<Real>(shape, arguments, plan, nullptr);
    return status == cudaSuccess ? contracted_ok : contracted_damaged_memory;
}

template <class T>
int evaluate(const EmulatedInvariants& c) {
    const auto read = [](const void* array) { return static_cast<const T*>(array); };
    const auto write = [](void* array) { return static_cast<T*>(array); };
    const InvariantArguments<T> arguments{c.num_atoms,       read(c.moments),    read(c.moment_tangents),
                                          read(c.cotangent), write(c.functions), write(c.moment_gradient)};
    if (c.moment_tangents != nullptr) return evaluate_invariants<Dual<T>>(c, arguments);
    return evaluate_invariants<T>(c, arguments);
}

}  // namespace

extern "C" int mhdnn_densities_float(const EmulatedDensities* call) { return evaluate<float>(*call); }
extern "C" int mhdnn_densities_double(const EmulatedDensities* call) { return evaluate<double>(*call); }
extern "C" int mhdnn_invariants_float(const EmulatedInvariants* call) { return evaluate<float>(*call); }
extern "C" int mhdnn_invariants_double(const EmulatedInvariants* call) { return evaluate<double>(*call); }
