// What the kernels take: raw pointers, the same for CPU and CUDA. All arrays are contiguous.
#pragma once

#include <cstdint>

#include "radial_basis.h"

namespace mhdnn {

/// An evaluation without tangents gives functions and gradients; one with tangents gives their derivatives
/// along the tangents instead.
template <class T>
struct Arguments {
    // neighbours of atom i are the pairs first_pair[i] ... first_pair[i + 1] - 1
    std::int64_t num_atoms;
    const std::int64_t* first_pair;        // (num_atoms + 1)
    const std::int64_t* neighbor_element;  // (num_pairs)
    const T* pair_vectors;                 // (num_pairs, 3), Å
    const T* pair_tangents;                // (num_pairs, 3), or null
    const T* channel_table;                // (num_elements, num_channels); of contracted functions the coefficients
    const T* table_tangents;               // the same shape, or null
    RadialBasis<T> basis;

    // what is wanted; null where it is not
    const T* cotangent;  // (num_atoms, num_functions), for the gradients
    T* functions;        // (num_atoms, num_functions)
    T* vector_gradient;  // (num_pairs, 3)
    T* table_gradient;   // (num_groups or num_atoms, shape of the table), to be summed

    const std::int64_t* center_element = nullptr;  // (num_atoms), of contracted functions

    // on the GPU room for the pairs nearer than the cutoff, listed anew for each evaluation (cuda/near.cuh); null: all
    std::int64_t* near_pair = nullptr;  // (num_pairs)
    std::int64_t* num_near = nullptr;   // (num_atoms)
};

/// Whether a pair counts: lists may reach further than the functions. NaN counts, so that it shows.
template <class T>
MHDNN_FUNCTION bool is_near(const Arguments<T>& arguments, std::int64_t pair) {
    const T* v = arguments.pair_vectors + 3 * pair;
    return !(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] >= arguments.basis.cutoff * arguments.basis.cutoff);
}

}  // namespace mhdnn
