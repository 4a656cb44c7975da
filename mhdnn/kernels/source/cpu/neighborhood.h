// The neighbours of as many atoms as there are lanes, sorted by element. Pairs beyond the cutoff are left out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../arguments.h"
#include "rows.h"

namespace mhdnn::cpu {

/// Whether a pair counts: lists may reach further than the functions. NaN counts, so that it shows.
template <class T>
inline bool is_near(const Arguments<T>& arguments, std::int64_t pair) {
    const T* v = arguments.pair_vectors + 3 * pair;
    return !(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] >= arguments.basis.cutoff * arguments.basis.cutoff);
}

/// Places 0 ... first_place[num_elements] hold the k-th neighbour of an element of every lane's atom. Where an
/// atom has fewer neighbours than its companions, the place holds a neighbour at the cutoff, which counts nothing.
/// With one element, all neighbours count as of this one.
template <class Real>
class Neighborhood {
public:
    using T = Scalar<Real>;
    static constexpr int width = Lanes<T>::width;

    Neighborhood(const Arguments<T>& arguments, int num_elements)
        : arguments_(arguments), num_elements_(num_elements), first_place_(num_elements + 1) {}

    /// Neighbours of up to `width` atoms.
    void load(const std::int64_t* atoms, int num_atoms) {
        atoms_ = atoms;
        num_atoms_ = num_atoms;
        count_places();
        const int num_places = first_place_[num_elements_];
        x.assign(num_places, constant<Real>(arguments_.basis.cutoff));
        y.assign(num_places, constant<Real>(T(0)));
        z.assign(num_places, constant<Real>(T(0)));
        pair_.assign(std::size_t(num_places) * width, -1);
        std::vector<int> next(num_elements_);
        for (int lane = 0; lane < num_atoms; ++lane) {
            std::copy(first_place_.begin(), first_place_.end() - 1, next.begin());
            const std::int64_t atom = atoms[lane];
            for (std::int64_t p = arguments_.first_pair[atom]; p < arguments_.first_pair[atom + 1]; ++p) {
                if (!is_near(arguments_, p)) {
                    clear_gradient(p);
                    continue;
                }
                const int place = next[element_of(p)]++;
                pair_[std::size_t(place) * width + lane] = p;
                set(x[place], lane, p, 0);
                set(y[place], lane, p, 1);
                set(z[place], lane, p, 2);
            }
        }
    }

    int begin(int element) const { return first_place_[element]; }
    int end(int element) const { return first_place_[element + 1]; }
    int num_places() const { return first_place_[num_elements_]; }
    int num_atoms() const { return num_atoms_; }
    std::int64_t atom(int lane) const { return atoms_[lane]; }
    /// Number of the pair, or -1 where the place is empty.
    std::int64_t pair(int place, int lane) const { return pair_[std::size_t(place) * width + lane]; }

    /// Write the gradient by the vectors of a place.
    void store_gradient(int place, Real by_x, Real by_y, Real by_z) const {
        const Lanes<T> gx = result(by_x), gy = result(by_y), gz = result(by_z);
        const std::int64_t* pair = pair_.data() + std::size_t(place) * width;
        for (int lane = 0; lane < num_atoms_; ++lane) {
            if (pair[lane] < 0) continue;
            T* out = arguments_.vector_gradient + 3 * pair[lane];
            out[0] = gx[lane];
            out[1] = gy[lane];
            out[2] = gz[lane];
        }
    }

    /// Rows of an array (num_atoms, size), as lanes.
    void load_rows(const T* rows, int size, Lanes<T>* columns) const {
        cpu::load_rows(rows, size, atoms_, num_atoms_, columns);
    }
    void store_rows(const Lanes<T>* columns, int size, T* rows) const {
        cpu::store_rows(columns, size, atoms_, num_atoms_, rows);
    }

    std::vector<Real> x, y, z;

private:
    void count_places() {
        std::vector<int> count(num_elements_), largest(num_elements_, 0);
        for (int lane = 0; lane < num_atoms_; ++lane) {
            std::fill(count.begin(), count.end(), 0);
            const std::int64_t atom = atoms_[lane];
            for (std::int64_t p = arguments_.first_pair[atom]; p < arguments_.first_pair[atom + 1]; ++p) {
                if (is_near(arguments_, p)) ++count[element_of(p)];
            }
            for (int e = 0; e < num_elements_; ++e) largest[e] = std::max(largest[e], count[e]);
        }
        first_place_[0] = 0;
        for (int e = 0; e < num_elements_; ++e) first_place_[e + 1] = first_place_[e] + largest[e];
    }

    int element_of(std::int64_t pair) const {
        return num_elements_ == 1 ? 0 : int(arguments_.neighbor_element[pair]);
    }

    void clear_gradient(std::int64_t pair) const {
        if (arguments_.vector_gradient == nullptr) return;
        for (int axis = 0; axis < 3; ++axis) arguments_.vector_gradient[3 * pair + axis] = T(0);
    }

    void set(Real& coordinate, int lane, std::int64_t pair, int axis) const {
        if constexpr (has_tangent<Real>) {
            coordinate.value.set(lane, arguments_.pair_vectors[3 * pair + axis]);
            coordinate.tangent.set(lane, arguments_.pair_tangents[3 * pair + axis]);
        } else {
            coordinate.set(lane, arguments_.pair_vectors[3 * pair + axis]);
        }
    }

    const Arguments<T>& arguments_;
    int num_elements_;
    const std::int64_t* atoms_ = nullptr;
    int num_atoms_ = 0;
    std::vector<int> first_place_;
    std::vector<std::int64_t> pair_;
};

/// Numbers of neighbours of the first four elements in the upper half (8 bits each), the atom in the lower half.
template <class T>
std::uint64_t neighbor_key(const Arguments<T>& arguments, int num_elements, std::int64_t atom) {
    const int num_counted = std::min(num_elements, 4);
    std::uint64_t count[4] = {0, 0, 0, 0};
    for (std::int64_t p = arguments.first_pair[atom]; p < arguments.first_pair[atom + 1]; ++p) {
        const std::int64_t element = num_elements == 1 ? 0 : arguments.neighbor_element[p];
        if (element < num_counted && is_near(arguments, p)) ++count[element];
    }
    std::uint64_t key = 0;
    for (int e = 0; e < num_counted; ++e) key = key << 8 | std::min<std::uint64_t>(count[e], 255);
    return key << 32 | std::uint64_t(atom);
}

/// Atoms in an order in which companions have similar numbers of neighbours of each element, from their keys.
inline std::vector<std::int64_t> order_of_keys(std::vector<std::uint64_t>& keys) {
    if (!std::is_sorted(keys.begin(), keys.end())) std::sort(keys.begin(), keys.end());
    std::vector<std::int64_t> order(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) order[i] = std::int64_t(keys[i] & 0xffffffffu);
    return order;
}

}  // namespace mhdnn::cpu
