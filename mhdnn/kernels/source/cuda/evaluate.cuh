// Evaluation on the GPU: a block of threads for every atom.
#pragma once

#include <algorithm>
#include <utility>

#include "densities.cuh"
#include "invariants.cuh"
#include "moments.cuh"
#include "near.cuh"
#include "radial.cuh"
#include "triplets.cuh"

namespace mhdnn::cuda {

template <class Real>
RadialKernel<Real> kernel_for(const RadialShape&);
template <class Real>
MomentKernel<Real> kernel_for(const MomentShape&);
template <class Real>
TripletKernel<Real> kernel_for(const TripletShape&);
template <class Real>
DensityKernel<Real> kernel_for(const DensityShape&);

template <class Real, class Shape>
using KernelOf = decltype(kernel_for<Real>(std::declval<const Shape&>()));

/// Every output of an atom is written by its block, so nothing depends on the order in which blocks run. The
/// table's gradient is written for each atom.
template <class Real, class Shape, class T>
MHDNN_KERNEL evaluate_atoms(Shape shape, Arguments<T> arguments, std::int64_t num_pairs, int tile) {
    MHDNN_SHARED_MEMORY(start);
    Memory memory(start);
    KernelOf<Real, Shape> kernel(shape, arguments, tile, memory);
    kernel.prepare();
    const std::int64_t num_functions = shape.num_functions(), table_size = shape.num_elements * shape.num_channels;
    for (std::int64_t atom = blockIdx.x; atom < arguments.num_atoms; atom += gridDim.x) {
        const Neighbors neighbors = neighbors_of(arguments, num_pairs, atom);
        __syncthreads();
        kernel.evaluate(neighbors);
        if (arguments.functions != nullptr) kernel.functions(arguments.functions + atom * num_functions);
        if (arguments.cotangent != nullptr) {
            kernel.gradients(
                neighbors, arguments.cotangent + atom * num_functions, arguments.table_gradient + atom * table_size);
        }
    }
}

/// What the device offers.
struct Device {
    std::size_t shared_bytes;  // that a block can have at most
    int num_processors;
};

/// How an evaluation runs.
struct Plan {
    LaunchSize size;
    int tile;  // neighbours in shared memory
};

inline int num_blocks(std::int64_t num_atoms, const Device& device) {
    return int(std::min(num_atoms, 32 * std::int64_t(device.num_processors)));
}

template <class Real, class Shape, class T>
std::size_t shared_bytes(const Shape& shape, const Arguments<T>& arguments, int tile) {
    Memory memory(nullptr);
    const KernelOf<Real, Shape> kernel(shape, arguments, tile, memory);
    return memory.size();
}

constexpr int warp = 32;

/// Threads for an atom: as many as it has neighbours, in warps. The other warps of a large block would wait for the one
/// that has neighbours; while there are too few atoms for the device, more threads share the rest of the work.
inline int threads_for(std::int64_t num_pairs, std::int64_t num_atoms, const Device& device) {
    constexpr std::int64_t most = 128 / warp, neighbors_of_a_warp = 48, busy = 16;
    if (num_atoms < busy * device.num_processors) return int(most) * warp;
    const std::int64_t warps = num_pairs / std::max<std::int64_t>(num_atoms, 1) / neighbors_of_a_warp + 1;
    return int(std::min(warps, most)) * warp;
}

/// Tiles of many neighbours keep threads busy, but while they are in shared memory fewer blocks run at a time. The
/// plan of a large shape may ask for more shared memory than the device has.
template <class Real, class Shape, class T>
Plan plan_of(const Shape& shape, const Arguments<T>& arguments, std::int64_t num_pairs, const Device& device) {
    constexpr int largest_tile = 64, good_tile = 16;
    const int threads = threads_for(num_pairs, arguments.num_atoms, device);
    int tile = std::min(threads, largest_tile);
    while (tile > 1) {
        const std::size_t moderate = std::min(bytes_without_asking, device.shared_bytes);
        const std::size_t limit = tile > good_tile ? moderate : device.shared_bytes;
        if (shared_bytes<Real>(shape, arguments, tile) <= limit) break;
        tile /= 2;
    }
    return {{num_blocks(arguments.num_atoms, device), threads, shared_bytes<Real>(shape, arguments, tile)}, tile};
}

/// Invariants need no neighbours.
template <class Real, class T>
Plan plan_of(const InvariantShape& shape, const InvariantArguments<T>& arguments, const Device& device) {
    Memory memory(nullptr);
    const InvariantKernel<Real> kernel(shape, arguments.cotangent != nullptr, memory);
    return {{num_blocks(arguments.num_atoms, device), warp, memory.size()}, 0};
}

/// Where there is room for the list.
template <class T>
cudaError_t list_near_pairs(
    const Arguments<T>& arguments, std::int64_t num_pairs, const Plan& plan, cudaStream_t stream) {
    if (arguments.near_pair == nullptr) return cudaSuccess;
    const int threads = std::min(plan.size.threads, warp);
    const LaunchSize size{plan.size.blocks, threads, threads * sizeof(int)};
    return launch(&find_near_pairs<T>, size, stream, arguments, num_pairs);
}

template <class Real, class Shape, class T>
cudaError_t evaluate(
    const Shape& shape, const Arguments<T>& arguments, std::int64_t num_pairs, const Plan& plan, cudaStream_t stream) {
    if (arguments.num_atoms == 0) return cudaSuccess;
    if (const cudaError_t error = list_near_pairs(arguments, num_pairs, plan, stream); error != cudaSuccess)
        return error;
    return launch(&evaluate_atoms<Real, Shape, T>, plan.size, stream, shape, arguments, num_pairs, plan.tile);
}

template <class Real, class T>
cudaError_t evaluate_densities(
    const DensityShape& shape, const Arguments<T>& arguments, std::int64_t num_pairs, const Plan& plan,
    cudaStream_t stream) {
    if (arguments.num_atoms == 0) return cudaSuccess;
    if (const cudaError_t error = list_near_pairs(arguments, num_pairs, plan, stream); error != cudaSuccess)
        return error;
    return launch(&evaluate_density_atoms<Real, T>, plan.size, stream, shape, arguments, num_pairs, plan.tile);
}

template <class Real, class T>
cudaError_t evaluate_invariants(
    const InvariantShape& shape, const InvariantArguments<T>& arguments, const Plan& plan, cudaStream_t stream) {
    if (arguments.num_atoms == 0) return cudaSuccess;
    return launch(&evaluate_invariant_atoms<Real, T>, plan.size, stream, shape, arguments);
}

}  // namespace mhdnn::cuda
