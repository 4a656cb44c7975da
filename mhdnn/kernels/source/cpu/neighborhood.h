// The neighbours of as many atoms as there are lanes, sorted by element.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../arguments.h"
#include "../lanes.h"

namespace mhdnn::cpu {

/// Places 0 ... first_place[num_elements] hold the k-th neighbour of an element of every lane's atom. Where an
/// atom has fewer neighbours than its companions, the place holds a neighbour at the cutoff, which counts nothing.
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
                const int place = next[arguments_.neighbor_element[p]]++;
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

    /// Rows of an array (num_atoms, size) as lanes; zero for lanes without an atom.
    void load_rows(const T* rows, int size, Lanes<T>* columns) const {
        std::fill(columns, columns + size, Lanes<T>(T(0)));
        for (int lane = 0; lane < num_atoms_; ++lane) {
            const T* row = rows + atoms_[lane] * size;
            for (int column = 0; column < size; ++column) columns[column].set(lane, row[column]);
        }
    }

    void store_rows(const Lanes<T>* columns, int size, T* rows) const {
        for (int lane = 0; lane < num_atoms_; ++lane) {
            T* row = rows + atoms_[lane] * size;
            for (int column = 0; column < size; ++column) row[column] = columns[column][lane];
        }
    }

    std::vector<Real> x, y, z;

private:
    void count_places() {
        std::vector<int> count(num_elements_), largest(num_elements_, 0);
        for (int lane = 0; lane < num_atoms_; ++lane) {
            std::fill(count.begin(), count.end(), 0);
            const std::int64_t atom = atoms_[lane];
            for (std::int64_t p = arguments_.first_pair[atom]; p < arguments_.first_pair[atom + 1]; ++p) {
                ++count[arguments_.neighbor_element[p]];
            }
            for (int e = 0; e < num_elements_; ++e) largest[e] = std::max(largest[e], count[e]);
        }
        first_place_[0] = 0;
        for (int e = 0; e < num_elements_; ++e) first_place_[e + 1] = first_place_[e] + largest[e];
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
        const std::int64_t element = arguments.neighbor_element[p];
        if (element < num_counted) ++count[element];
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
