#include "neighborhood.h"

#include "atom.h"
#include "neigh_list.h"
#include "neighbor.h"

namespace mhdnn {
namespace {

using LAMMPS_NS::Atom;
using LAMMPS_NS::Neighbor;
using LAMMPS_NS::NeighList;

// Whether a fix has excluded the atom from interactions with all atoms, itself included.
bool is_taken_out(int mask, const Neighbor &neighbor) {
  for (int entry = 0; entry < neighbor.nex_group; ++entry) {
    const bool with_all = neighbor.ex1_group[entry] == 0 || neighbor.ex2_group[entry] == 0;
    const int bits = neighbor.ex1_group[entry] == 0 ? neighbor.ex2_bit[entry] : neighbor.ex1_bit[entry];
    if (with_all && (mask & bits)) return true;
  }
  return false;
}

inline double squared_length(const double *vector) {
  return vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2];
}

inline void subtract(const double *to, const double *from, double *vector) {
  for (int axis = 0; axis < 3; ++axis) vector[axis] = to[axis] - from[axis];
}

}  // namespace

void Neighborhood::set_elements(std::vector<int> element_of_type) { element_of_type_ = std::move(element_of_type); }

void Neighborhood::update(const NeighList &list, const Atom &atom, const Neighbor &neighbor, double cutoff) {
  number_atoms(list, atom, neighbor);
  collect_pairs(list, atom, cutoff);
}

void Neighborhood::number_atoms(const NeighList &list, const Atom &atom, const Neighbor &neighbor) {
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

void Neighborhood::collect_pairs(const NeighList &list, const Atom &atom, double cutoff) {
  const auto num_centers = static_cast<int>(rows_.size());
  const double limit = cutoff * cutoff;
  const double *const *const x = atom.x;
  const auto each_neighbor = [&](int row, auto &&use) {
    const int i = rows_[row];
    const int *const neighbors = list.firstneigh[i];
    for (int k = 0; k < list.numneigh[i]; ++k) {
      const int j = neighbors[k] & NEIGHMASK;
      double vector[3];
      subtract(x[j], x[i], vector);
      if (squared_length(vector) < limit && node_[j] >= 0) use(node_[j], vector);
    }
  };
  first_.assign(num_centers + 1, 0);
#pragma omp parallel for schedule(static)
  for (int row = 0; row < num_centers; ++row) {
    std::int64_t count = 0;
    each_neighbor(row, [&count](int, const double *) { ++count; });
    first_[row + 1] = count;
  }
  for (int row = 0; row < num_centers; ++row) first_[row + 1] += first_[row];
  const auto num_pairs = static_cast<std::size_t>(first_[num_centers]);
  pairs_.center.resize(num_pairs);
  pairs_.neighbor.resize(num_pairs);
  pairs_.vectors.resize(3 * num_pairs);
#pragma omp parallel for schedule(static)
  for (int row = 0; row < num_centers; ++row) {
    std::int64_t pair = first_[row];
    each_neighbor(row, [&](int node, const double *vector) {
      pairs_.center[pair] = row;
      pairs_.neighbor[pair] = node;
      for (int axis = 0; axis < 3; ++axis) pairs_.vectors[3 * pair + axis] = vector[axis];
      ++pair;
    });
  }
}

}  // namespace mhdnn
