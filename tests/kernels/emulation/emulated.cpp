// The CUDA kernels on the CPU for tests, with raw pointers for ctypes.
#include "cuda_emulation.h"

#include "cuda/evaluate.cuh"

using namespace mhdnn;

extern "C" {

/// Arrays of one precision are behind void pointers; null where something is not given or not wanted.
struct EmulatedCall {
    // launch; a tile of 0 and threads of 0 leave the choice to the plan for the device
    std::int64_t threads, tile, blocks, device_shared_bytes;
    // arguments
    std::int64_t num_atoms, num_pairs, num_elements, num_channels, num_radial;
    const std::int64_t *first_pair, *neighbor_element;
    const void *pair_vectors, *pair_tangents, *channel_table, *table_tangents, *etas, *shifts;
    double cutoff;
    std::int64_t cutoff_function;
    const void* cotangent;
    void *functions, *vector_gradient, *table_gradient;
    // shape; kinds in the order radial, legendre, degrees, narrow, wide
    std::int64_t kind, max_degree, cross_terms, num_angular, num_powers;
    const std::int64_t *radial_index, *power_index, *zetas, *lambdas;
};
}

namespace {

enum Status { ok, damaged_memory, too_little_memory };

template <class T>
Arguments<T> arguments_of(const EmulatedCall& c) {
    const auto read = [](const void* array) { return static_cast<const T*>(array); };
    const auto write = [](void* array) { return static_cast<T*>(array); };
    return {
        c.num_atoms,
        c.first_pair,
        c.neighbor_element,
        read(c.pair_vectors),
        read(c.pair_tangents),
        read(c.channel_table),
        read(c.table_tangents),
        {read(c.etas), read(c.shifts), int(c.num_radial), T(c.cutoff), CutoffFunction(c.cutoff_function)},
        read(c.cotangent),
        write(c.functions),
        write(c.vector_gradient),
        write(c.table_gradient)};
}

template <class Real, class Shape, class T>
int evaluate_shape(const EmulatedCall& call, const Shape& shape, const Arguments<T>& arguments) {
    const cuda::Device device{std::size_t(call.device_shared_bytes), 1};
    cuda::Plan plan = cuda::plan_of<Real>(shape, arguments, call.num_pairs, device);
    if (call.threads > 0) plan.size.threads = int(call.threads);
    if (call.blocks > 0) plan.size.blocks = int(call.blocks);
    if (call.tile > 0) {
        plan.tile = int(call.tile);
        plan.size.shared_bytes = cuda::shared_bytes<Real>(shape, arguments, plan.tile);
    }
    if (plan.size.shared_bytes > device.shared_bytes) return too_little_memory;
    std::vector<std::int64_t> near(call.num_pairs + 1), num_near(call.num_atoms + 1);  // never without an address
    Arguments<T> given = arguments;
    given.near_pair = near.data();
    given.num_near = num_near.data();
    return cuda::evaluate<Real>(shape, given, call.num_pairs, plan, nullptr) == cudaSuccess ? ok : damaged_memory;
}

template <class Real, class T>
int evaluate_kind(const EmulatedCall& c, const Arguments<T>& arguments) {
    const int num_elements = int(c.num_elements), num_channels = int(c.num_channels), num_radial = int(c.num_radial);
    if (c.kind == 0) return evaluate_shape<Real>(c, RadialShape{num_elements, num_channels, num_radial}, arguments);
    if (c.kind <= 2) {
        const bool legendre = c.kind == 1;
        const MomentShape shape{
            num_elements, num_channels, num_radial, int(c.max_degree), legendre && c.cross_terms != 0, legendre};
        return evaluate_shape<Real>(c, shape, arguments);
    }
    const TripletShape shape{num_elements, num_channels,   num_radial,    int(c.num_powers), int(c.num_angular),
                             c.kind == 3,  c.radial_index, c.power_index, c.zetas,           c.lambdas};
    return evaluate_shape<Real>(c, shape, arguments);
}

template <class T>
int evaluate(const EmulatedCall& call) {
    const Arguments<T> arguments = arguments_of<T>(call);
    if (call.pair_tangents != nullptr) return evaluate_kind<Dual<T>>(call, arguments);
    return evaluate_kind<T>(call, arguments);
}

}  // namespace

extern "C" int mhdnn_emulated_float(const EmulatedCall* call) { return evaluate<float>(*call); }
extern "C" int mhdnn_emulated_double(const EmulatedCall* call) { return evaluate<double>(*call); }
