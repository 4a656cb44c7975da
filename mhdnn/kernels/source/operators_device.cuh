// What all operators on the GPU need.
#pragma once

#include <ATen/ATen.h>
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

/// Room for the list of near pairs; must outlive the launch, after which the stream keeps its order.
class NearPairs {
public:
    NearPairs(const at::Tensor& first_pair, std::int64_t num_pairs)
        : pair_(at::empty({num_pairs}, first_pair.options())),
          count_(at::empty({first_pair.size(0) - 1}, first_pair.options())) {}

    template <class T>
    Arguments<T> given_to(Arguments<T> arguments) {
        arguments.near_pair = pair_.mutable_data_ptr<std::int64_t>();
        arguments.num_near = count_.mutable_data_ptr<std::int64_t>();
        return arguments;
    }

private:
    at::Tensor pair_, count_;
};

inline void check_pairs_have_atoms(const at::Tensor& pair_vectors, std::int64_t num_atoms) {
    TORCH_CHECK_VALUE(
        num_atoms > 0 || pair_vectors.size(0) == 0, "`first_pair`: expected to end with the number of pairs ",
        pair_vectors.size(0), ", got no atoms");
}

}  // namespace mhdnn
