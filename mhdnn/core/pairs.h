// Atoms that a model sees: centres first, then those that are neighbours only.
#pragma once

#include <cstdint>
#include <vector>

namespace mhdnn {

struct Pairs {
    std::int64_t num_centers = 0;
    std::vector<int> element;         // of every atom: its place in Metadata::elements
    std::vector<std::int64_t> first;  // the pairs of centre i are first[i] ... first[i + 1] - 1
    std::vector<int> neighbor;        // of every pair
    std::vector<double> vectors;      // from centre to neighbour, 3 numbers a pair, Å; all within the cutoff

    std::int64_t num_atoms() const { return static_cast<std::int64_t>(element.size()); }
    std::int64_t num_pairs() const { return static_cast<std::int64_t>(neighbor.size()); }
};

inline double squared_length(const double* r) { return r[0] * r[0] + r[1] * r[1] + r[2] * r[2]; }

}  // namespace mhdnn
