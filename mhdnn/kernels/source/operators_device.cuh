// What all operators on the GPU need.
#pragma once

#include <c10/cuda/CUDAException.h>

#include "cuda/evaluate.cuh"

namespace mhdnn {

inline cuda::Device current_device() {
    int number = 0, shared_bytes = 0, num_processors = 0;
    C10_CUDA_CHECK(cudaGetDevice(&number));
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, number));
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&num_processors, cudaDevAttrMultiProcessorCount, number));
    return {std::size_t(shared_bytes), num_processors};
}

inline void check_pairs_have_atoms(const at::Tensor& pair_vectors, std::int64_t num_atoms) {
    TORCH_CHECK_VALUE(
        num_atoms > 0 || pair_vectors.size(0) == 0, "`first_pair`: expected to end with the number of pairs ",
        pair_vectors.size(0), ", got no atoms");
}

}  // namespace mhdnn
