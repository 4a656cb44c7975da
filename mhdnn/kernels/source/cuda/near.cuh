// The pairs nearer than the cutoff, listed before an evaluation: the threads of a block then share neighbours that
// count, however far the list of pairs reaches beyond the cutoff of the functions.
#pragma once

#include "block.cuh"

namespace mhdnn::cuda {

/// In their order, so that sums don't depend on threads; gradients by the other pairs are set to zero. A block for an
/// atom: its threads read pairs that lie beside each other, and each counts the near ones before its own.
template <class T>
MHDNN_KERNEL find_near_pairs(Arguments<T> arguments, std::int64_t num_pairs) {
    MHDNN_SHARED_MEMORY(start);
    int* near = reinterpret_cast<int*>(start);
    const int thread = int(threadIdx.x), num_threads = int(blockDim.x);
    for (std::int64_t atom = blockIdx.x; atom < arguments.num_atoms; atom += gridDim.x) {
        const Neighbors all = all_neighbors_of(arguments, num_pairs, atom);
        int count = 0;
        for (int first = 0; first < all.count; first += num_threads) {
            const std::int64_t pair = all.pair(first + thread);
            const bool exists = first + thread < all.count;
            __syncthreads();
            near[thread] = exists && is_near(arguments, pair) ? 1 : 0;
            __syncthreads();
            int before = 0, in_all = 0;
            for (int i = 0; i < num_threads; ++i) {
                before += i < thread && near[i] == 1 ? 1 : 0;
                in_all += near[i] == 1 ? 1 : 0;
            }
            if (near[thread] == 1) {
                arguments.near_pair[all.first + count + before] = pair;
            } else if (exists && arguments.vector_gradient != nullptr) {
                for (int axis = 0; axis < 3; ++axis) arguments.vector_gradient[3 * pair + axis] = T(0);
            }
            count += in_all;
        }
        if (thread == 0) arguments.num_near[atom] = count;
    }
}

}  // namespace mhdnn::cuda
