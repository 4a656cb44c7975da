// How the CPU evaluates atoms: in which order, and by which threads; and the check of their indices.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "neighborhood.h"
#include "threads.h"

namespace mhdnn::cpu {

/// As many threads as were chosen, or as torch would take.
inline int num_threads() {
    if (at::in_parallel_region()) return 1;
    return chosen_threads() > 0 ? chosen_threads() : at::get_num_threads();
}

/// function(first, last) for the groups of some atoms.
template <class T, class Function>
void for_groups(std::int64_t num_atoms, const Function& function) {
    for_ranges(num_groups<T>(num_atoms), 1, num_threads(), function);
}

inline void check_elements(const at::Tensor& elements, const char* name, const char* of, int num_elements) {
    const auto* element = elements.const_data_ptr<std::int64_t>();
    for_ranges(elements.size(0), 20000, num_threads(), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
            TORCH_CHECK_INDEX(
                element[i] >= 0 && element[i] < num_elements, "`", name, "`: expected 0 to ", num_elements - 1,
                ", got ", element[i], " at ", of, " ", i);
        }
    });
}

/// Indices are checked on the CPU, where it costs next to nothing.
inline void check_indices(const at::Tensor& first_pairs, const at::Tensor& neighbor_element, int num_elements) {
    const std::int64_t num_pairs = neighbor_element.size(0), num_atoms = first_pairs.size(0) - 1;
    const auto* first_pair = first_pairs.const_data_ptr<std::int64_t>();
    for (std::int64_t atom = 0; atom < num_atoms; ++atom) {
        TORCH_CHECK_VALUE(
            first_pair[atom] <= first_pair[atom + 1], "`first_pair`: expected ascending numbers, got ",
            first_pair[atom + 1], " after ", first_pair[atom], " at atom ", atom);
    }
    TORCH_CHECK_VALUE(
        first_pair[0] == 0 && first_pair[num_atoms] == num_pairs,
        "`first_pair`: expected to begin with 0 and to end with the number of pairs ", num_pairs, ", got ",
        first_pair[0], " and ", first_pair[num_atoms]);
    check_elements(neighbor_element, "neighbor_element", "pair", num_elements);
}

/// Atoms in an order in which companions have similar numbers of neighbours of each element.
template <class T>
std::vector<std::int64_t> order_of_atoms(const Arguments<T>& arguments, int num_elements) {
    const std::int64_t num_atoms = arguments.num_atoms;
    std::vector<std::int64_t> order(num_atoms);
    const std::int64_t num_blocks = (num_atoms + atoms_sorted_together - 1) / atoms_sorted_together;
    for_each_piece(num_blocks, num_threads(), [&](int, std::int64_t block) {
        const std::int64_t first = block * atoms_sorted_together;
        const std::int64_t count = std::min(atoms_sorted_together, num_atoms - first);
        sort_atoms(arguments, num_elements, first, count, order.data() + first);
    });
    return order;
}

}  // namespace mhdnn::cpu
