// Neighbours of atoms within a cutoff, every image of them, at a cost linear in the atoms.
#pragma once

#include <cstdint>
#include <vector>

#include "vectors.h"

namespace mhdnn::electrostatics {

// Atoms [first, first + count).
struct Rows {
    std::int64_t first, count;
};

// Row after row the neighbours of some atoms, in both directions.
struct Neighbors {
    Rows rows;
    std::vector<std::int64_t> starts;  // of each row, and the end
    std::vector<std::int32_t> atom;    // of each pair
    std::vector<std::int32_t> image;   // of each pair: which of `shifts`
    std::vector<Vector3> shifts;       // Å
    std::vector<double> positions;     // of all atoms, within the cell, Å

    std::int64_t num_pairs() const { return static_cast<std::int64_t>(atom.size()); }
    // From the atom of a row to its neighbour, Å.
    Vector3 vector(std::int64_t row, std::int64_t pair) const {
        const double *const from = &positions[3 * (rows.first + row)], *const to = &positions[3 * atom[pair]];
        const Vector3& shift = shifts[image[pair]];
        return {to[0] - from[0] + shift[0], to[1] - from[1] + shift[1], to[2] - from[2] + shift[2]};
    }
};

// In a cell with three periodic directions; it may be smaller than the cutoff.
Neighbors neighbors_within(const Matrix3& cell, const std::vector<double>& positions, Rows rows, double cutoff);

// All other atoms, without images.
Neighbors all_neighbors(const std::vector<double>& positions, Rows rows);

}  // namespace mhdnn::electrostatics
