// What the kernels need of CUDA beyond C++. Tests define MHDNN_CUDA_EMULATION and the same names for the CPU, so
// that the kernels can be run without a GPU.
#pragma once

#include <cstddef>

#ifndef MHDNN_CUDA_EMULATION
#include <cuda_runtime.h>

#include <cassert>

#define MHDNN_DEVICE __device__ __forceinline__
#define MHDNN_KERNEL __global__ void __launch_bounds__(mhdnn::cuda::max_threads)
/// Names the block's shared memory, whose size is chosen at launch.
#define MHDNN_SHARED_MEMORY(name) extern __shared__ __align__(16) unsigned char name[]

#ifdef CUDA_KERNEL_ASSERT  // torch's, which works without debugging too
#define MHDNN_CHECK(condition) CUDA_KERNEL_ASSERT(condition)
#else
#define MHDNN_CHECK(condition) assert(condition)
#endif
#endif

namespace mhdnn::cuda {

constexpr int max_threads = 256;                         // of a block
constexpr std::size_t bytes_without_asking = 48 * 1024;  // of shared memory

struct LaunchSize {
    int blocks, threads;
    std::size_t shared_bytes;
};

#ifndef MHDNN_CUDA_EMULATION
/// Without waiting for the kernel. Returns what goes wrong before the launch; errors of the launch itself are left
/// to cudaGetLastError.
template <class... Parameters>
cudaError_t launch(void (*kernel)(Parameters...), LaunchSize size, cudaStream_t stream, Parameters... arguments) {
    if (size.shared_bytes > bytes_without_asking) {
        const cudaError_t error =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(size.shared_bytes));
        if (error != cudaSuccess) return error;
    }
    kernel<<<size.blocks, size.threads, size.shared_bytes, stream>>>(arguments...);
    return cudaSuccess;
}
#endif

}  // namespace mhdnn::cuda
