// The pairs nearer than the cutoff, listed before an evaluation: the threads of a block then share neighbours that
// count, however far the list of pairs reaches beyond the cutoff of the functions.
#pragma once

#include "block.cuh"

namespace mhdnn::cuda {

/// In their order, so that sums don't depend on threads; gradients by the other pairs are set to zero.
template <class T>
MHDNN_KERNEL find_near_pairs(Arguments<T> arguments, std::int64_t num_pairs) {
    const std::int64_t step = std::int64_t(gridDim.x) * blockDim.x;
    for (std::int64_t atom = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; atom < arguments.num_atoms;
         atom += step) {
        const Neighbors all = all_neighbors_of(arguments, num_pairs, atom);
        int count = 0;
        for (int i = 0; i < all.count; ++i) {
            const std::int64_t pair = all.pair(i);
            if (is_near(arguments, pair)) {
                arguments.near_pair[all.first + count++] = pair;
            } else if (arguments.vector_gradient != nullptr) {
                for (int axis = 0; axis < 3; ++axis) arguments.vector_gradient[3 * pair + axis] = T(0);
            }
        }
        arguments.num_near[atom] = count;
    }
}

}  // namespace mhdnn::cuda
