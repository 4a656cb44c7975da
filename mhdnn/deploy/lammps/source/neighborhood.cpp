#include "neighborhood.h"

#include "atom.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "threads.h"

namespace mhdnn {
namespace {

using LAMMPS_NS::Atom;
using LAMMPS_NS::Neighbor;
using LAMMPS_NS::NeighList;

constexpr std::int64_t centers_worth_a_thread = 256;

// Whether a fix has excluded the atom from interactions with all atoms, itself included.
bool is_taken_out(int mask, const Neighbor& neighbor) {
    for (int entry = 0; entry < neighbor.nex_group; ++entry) {
        const bool with_all = neighbor.ex1_group[entry] == 0 || neighbor.ex2_group[entry] == 0;
        const int bits = neighbor.ex1_group[entry] == 0 ? neighbor.ex2_bit[entry] : neighbor.ex1_bit[entry];
        if (with_all && (mask & bits)) return true;
    }
    return false;
}

inline void subtract(const double* to, const double* from, double* vector) {
    for (int axis = 0; axis < 3; ++axis) vector[axis] = to[axis] - from[axis];
}

}  // namespace

void Neighborhood::set_elements(std::vector<int> element_of_type) { element_of_type_ = std::move(element_of_type); }

void Neighborhood::update(const NeighList& list, const Atom& atom, const Neighbor& neighbor, double cutoff) {
    number_atoms(list, atom, neighbor);
    collect_pairs(list, atom, cutoff);
}

void Neighborhood::number_atoms(const NeighList& list, const Atom& atom, const Neighbor& neighbor) {
    const int num_all = atom.nlocal + atom.nghost;
    node_.assign(num_all, -1);
    atoms_.clear();
    rows_.clear();
    pairs_.element.clear();
    const auto add = [&](int index) {
        const int element = element_of_type_[atom.type[index]];
        if (element < 0 || (neighbor.exclude && is_taken_out(atom.mask[index], neighbor))) return false;
        node_[index] = static_cast<int>(atoms_.size());
        atoms_.push_back(index);
        pairs_.element.push_back(element);
        return true;
    };
    for (int row = 0; row < list.inum; ++row)
        if (add(list.ilist[row])) rows_.push_back(list.ilist[row]);
    pairs_.num_centers = static_cast<std::int64_t>(rows_.size());
    for (int index = atom.nlocal; index < num_all; ++index) add(index);
}

// First the neighbours within the cutoff, without branches: half of the list may lie beyond it, and the processor can't
// foresee which. Then their pairs.
void Neighborhood::collect_pairs(const NeighList& list, const Atom& atom, double cutoff) {
    const auto num_centers = static_cast<int>(rows_.size());
    const double limit = cutoff * cutoff;
    const double* const* const x = atom.x;
    std::vector<std::int64_t> place(num_centers + 1, 0);  // of each centre in `near_`
    for (int row = 0; row < num_centers; ++row) place[row + 1] = place[row] + list.numneigh[rows_[row]];
    near_.resize(place[num_centers]);
    std::vector<std::int64_t>& first = pairs_.first;
    first.assign(num_centers + 1, 0);
    for_each_of(num_centers, centers_worth_a_thread, [&](std::int64_t row) {
        const int i = rows_[row], num_neighbors = list.numneigh[i];
        const int* const neighbors = list.firstneigh[i];
        const double* const center = x[i];
        const int* const node = node_.data();
        int* const near = near_.data() + place[row];
        int count = 0;
        for (int k = 0; k < num_neighbors; ++k) {
            const int j = neighbors[k] & NEIGHMASK;
            double vector[3];
            subtract(x[j], center, vector);
            near[count] = j;
            count += static_cast<int>(squared_length(vector) < limit) & static_cast<int>(node[j] >= 0);
        }
        first[row + 1] = count;
    });
    for (int row = 0; row < num_centers; ++row) first[row + 1] += first[row];
    const auto num_pairs = static_cast<std::size_t>(first[num_centers]);
    pairs_.neighbor.resize(num_pairs);
    pairs_.vectors.resize(3 * num_pairs);
    for_each_of(num_centers, centers_worth_a_thread, [&](std::int64_t row) {
        const int* const near = near_.data() + place[row];
        const double* const center = x[rows_[row]];
        const int* const node = node_.data();
        double* const vectors = pairs_.vectors.data();
        int* const neighbor = pairs_.neighbor.data();
        for (std::int64_t pair = first[row]; pair < first[row + 1]; ++pair) {
            const int j = near[pair - first[row]];
            neighbor[pair] = node[j];
            subtract(x[j], center, vectors + 3 * pair);
        }
    });
}

}  // namespace mhdnn
