// Forces and virials from gradients by pair vectors.
//
//     F_i = sum_j (g_ij - g_ji),   W = sum_ij r_ij ⊗ g_ij   with g_ij = ∂E/∂r_ij
//
// W is the derivative of the energy by strain; the static virial is -W.
#pragma once

#include <vector>

#include "pairs.h"

namespace mhdnn {

// Where they are added. Atoms are numbered as the caller does: atom_of_node[node], in arrays that he owns.
struct ForceSums {
    const int* atom_of_node = nullptr;  // null: the same numbers
    double unit = 1.0;                  // eV in the caller's unit of energy
    double* forces = nullptr;           // 3 numbers an atom
    bool with_virial = false;
    double virial[9] = {};     // W, row by row
    double* halves = nullptr;  // of atoms, 9 numbers each: W shared half and half by both atoms of a pair; or null
    double* of_neighbors = nullptr;  // the same given to the neighbour, where the force does its work; or null
};

template <class T>
void add_pair_gradients(const Pairs& pairs, const T* gradient, ForceSums& sums) {
    const auto atom_of = [&sums](std::int64_t node) { return sums.atom_of_node ? sums.atom_of_node[node] : node; };
    const bool by_atom = sums.halves != nullptr || sums.of_neighbors != nullptr;
    double total[9] = {};
    for (std::int64_t center = 0; center < pairs.num_centers; ++center) {
        const std::int64_t i = atom_of(center);
        double force[3] = {};
        for (std::int64_t pair = pairs.first[center]; pair < pairs.first[center + 1]; ++pair) {
            const double* const r = &pairs.vectors[3 * pair];
            double g[3];
            for (int axis = 0; axis < 3; ++axis) g[axis] = sums.unit * gradient[3 * pair + axis];
            const std::int64_t j = atom_of(pairs.neighbor[pair]);
            for (int axis = 0; axis < 3; ++axis) {
                force[axis] += g[axis];
                sums.forces[3 * j + axis] -= g[axis];
            }
            if (!sums.with_virial && !by_atom) continue;
            for (int a = 0; a < 3; ++a)
                for (int b = 0; b < 3; ++b) {
                    const double part = r[a] * g[b];
                    const int place = 3 * a + b;
                    total[place] += part;
                    if (sums.halves) {
                        sums.halves[9 * i + place] += 0.5 * part;
                        sums.halves[9 * j + place] += 0.5 * part;
                    }
                    if (sums.of_neighbors) sums.of_neighbors[9 * j + place] += part;
                }
        }
        for (int axis = 0; axis < 3; ++axis) sums.forces[3 * i + axis] += force[axis];
    }
    for (int place = 0; place < 9; ++place) sums.virial[place] += total[place];
}

}  // namespace mhdnn
