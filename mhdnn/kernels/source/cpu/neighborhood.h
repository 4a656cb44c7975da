// The neighbours of as many atoms as there are lanes, sorted by element. Pairs beyond the cutoff are left out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../arguments.h"
#include "rows.h"

namespace mhdnn::cpu {

/// Places 0 ... first_place[num_elements] hold the k-th neighbour of an element of every lane's atom. Where an
/// atom has fewer neighbours than its companions, the place holds a neighbour at the cutoff, which counts nothing.
/// With one element, all neighbours count as of this one.
template <class Real>
class Neighborhood {
public:
    using T = Scalar<Real>;
    static constexpr int width = Lanes<T>::width;

    /// adds: gradients are added to what is there, instead of written.
    Neighborhood(const Arguments<T>& arguments, int num_elements, bool adds = false)
        : arguments_(arguments), num_elements_(num_elements), adds_(adds), first_place_(num_elements + 1) {}

    /// Neighbours of up to `width` atoms.
    void load(const std::int64_t* atoms, int num_atoms) {
        atoms_ = atoms;
        num_atoms_ = num_atoms;
        find_near_pairs();
        count_places();
        const int num_places = first_place_[num_elements_];
        for (auto* coordinate : {&x, &y, &z}) coordinate->resize(num_places);
        pair_.resize(std::size_t(num_places) * width);
        std::vector<int> next(num_elements_);
        for (int lane = 0; lane < width; ++lane) {
            std::copy(first_place_.begin(), first_place_.end() - 1, next.begin());
            if (lane < num_atoms) fill(lane, next.data());
            for (int e = 0; e < num_elements_; ++e) {
                for (int place = next[e]; place < first_place_[e + 1]; ++place) leave_empty(place, lane);
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

    /// Write or add the gradient by the vectors of a place.
    void store_gradient(int place, Real by_x, Real by_y, Real by_z) const {
        const Lanes<T> gx = result(by_x), gy = result(by_y), gz = result(by_z);
        const std::int64_t* pair = pair_.data() + std::size_t(place) * width;
        for (int lane = 0; lane < num_atoms_; ++lane) {
            if (pair[lane] < 0) continue;
            T* out = arguments_.vector_gradient + 3 * pair[lane];
            out[0] = adds_ ? out[0] + gx[lane] : gx[lane];
            out[1] = adds_ ? out[1] + gy[lane] : gy[lane];
            out[2] = adds_ ? out[2] + gz[lane] : gz[lane];
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
    /// Lists the pairs that count, without branches: where many don't, the processor could not foresee them.
    void find_near_pairs() {
        first_near_[0] = 0;
        for (int lane = 0; lane < num_atoms_; ++lane) {
            const std::int64_t first = arguments_.first_pair[atoms_[lane]],
                               end = arguments_.first_pair[atoms_[lane] + 1];
            std::size_t size = first_near_[lane];
            if (near_.size() < size + (end - first)) near_.resize(2 * near_.size() + (end - first));
            for (std::int64_t p = first; p < end; ++p) {
                near_[size] = p;
                size += is_near(arguments_, p) ? 1 : 0;
            }
            first_near_[lane + 1] = size;
            if (std::int64_t(size - first_near_[lane]) < end - first) clear_gradients(first, end);
        }
    }

    void count_places() {
        std::vector<int> count(num_elements_), largest(num_elements_, 0);
        for (int lane = 0; lane < num_atoms_; ++lane) {
            if (num_elements_ == 1) {
                count[0] = int(first_near_[lane + 1] - first_near_[lane]);
            } else {
                std::fill(count.begin(), count.end(), 0);
                for (std::size_t i = first_near_[lane]; i < first_near_[lane + 1]; ++i) ++count[element_of(near_[i])];
            }
            for (int e = 0; e < num_elements_; ++e) largest[e] = std::max(largest[e], count[e]);
        }
        first_place_[0] = 0;
        for (int e = 0; e < num_elements_; ++e) first_place_[e + 1] = first_place_[e] + largest[e];
    }

    /// The neighbours of a lane's atom; `next` is where those of an element go, and in the end the first free place.
    void fill(int lane, int* next) {
        const std::int64_t* const pairs = near_.data() + first_near_[lane];
        const int count = int(first_near_[lane + 1] - first_near_[lane]);
        if (num_elements_ == 1) {
            put(lane, pairs, count, [](int i) { return i; });
            next[0] = count;
        } else {
            put(lane, pairs, count, [&](int i) { return next[element_of(pairs[i])]++; });
        }
    }

    template <class PlaceOf>
    void put(int lane, const std::int64_t* pairs, int count, PlaceOf place_of) {
        constexpr int stride = sizeof(Real) / sizeof(T);
        // copies, for a number written to x could be one of these pointers as far as the compiler knows
        const T *const vectors = arguments_.pair_vectors, *const tangents = arguments_.pair_tangents;
        T* const to[3] = {numbers(x) + lane, numbers(y) + lane, numbers(z) + lane};
        std::int64_t* const pair_of = pair_.data() + lane;
        for (int i = 0; i < count; ++i) {
            const std::size_t place = place_of(i);
            pair_of[place * width] = pairs[i];
            for (int axis = 0; axis < 3; ++axis) to[axis][place * stride] = vectors[3 * pairs[i] + axis];
            if constexpr (has_tangent<Real>) {
                for (int axis = 0; axis < 3; ++axis) to[axis][place * stride + width] = tangents[3 * pairs[i] + axis];
            }
        }
    }

    /// Value of each lane, then their tangents if there are any.
    static T* numbers(std::vector<Real>& coordinate) { return reinterpret_cast<T*>(coordinate.data()); }

    void leave_empty(int place, int lane) {
        pair_[std::size_t(place) * width + lane] = -1;
        set(x[place], lane, arguments_.basis.cutoff);
        set(y[place], lane, T(0));
        set(z[place], lane, T(0));
    }

    int element_of(std::int64_t pair) const { return num_elements_ == 1 ? 0 : int(arguments_.neighbor_element[pair]); }

    void clear_gradients(std::int64_t first, std::int64_t end) const {
        if (arguments_.vector_gradient == nullptr || adds_) return;
        std::fill(arguments_.vector_gradient + 3 * first, arguments_.vector_gradient + 3 * end, T(0));
    }

    static void set(Real& coordinate, int lane, T value) {
        if constexpr (has_tangent<Real>) {
            coordinate.value.set(lane, value);
            coordinate.tangent.set(lane, T(0));
        } else {
            coordinate.set(lane, value);
        }
    }

    const Arguments<T>& arguments_;
    int num_elements_;
    bool adds_;
    const std::int64_t* atoms_ = nullptr;
    int num_atoms_ = 0;
    std::vector<int> first_place_;
    std::size_t first_near_[width + 1];  // of each lane in the list of pairs that count
    std::vector<std::int64_t> near_, pair_;
};

/// Atoms that are sorted together, so that companions have similar neighbours: neighbours in the list are neighbours in
/// space, and their data are in the cache.
constexpr std::int64_t atoms_sorted_together = 1024;

/// Numbers of neighbours of the first four elements in the upper half (8 bits each), the atom in the lower half.
template <class T>
std::uint64_t neighbor_key(const Arguments<T>& arguments, int num_elements, std::int64_t atom) {
    const int num_counted = std::min(num_elements, 4);
    std::uint64_t count[4] = {0, 0, 0, 0};
    const std::int64_t first = arguments.first_pair[atom], end = arguments.first_pair[atom + 1];
    if (num_elements == 1) {
        for (std::int64_t p = first; p < end; ++p) count[0] += is_near(arguments, p) ? 1 : 0;
    } else {
        for (std::int64_t p = first; p < end; ++p) {
            const std::int64_t element = arguments.neighbor_element[p];
            if (element < num_counted && is_near(arguments, p)) ++count[element];
        }
    }
    std::uint64_t key = 0;
    for (int e = 0; e < num_counted; ++e) key = key << 8 | std::min<std::uint64_t>(count[e], 255);
    return key << 32 | std::uint64_t(atom);
}

/// Atoms first ... first + count - 1 in an order in which companions have similar numbers of neighbours of each
/// element.
template <class T>
void sort_atoms(
    const Arguments<T>& arguments, int num_elements, std::int64_t first, std::int64_t count, std::int64_t* order) {
    std::vector<std::uint64_t> keys(count);
    for (std::int64_t i = 0; i < count; ++i) keys[i] = neighbor_key(arguments, num_elements, first + i);
    std::sort(keys.begin(), keys.end());
    for (std::int64_t i = 0; i < count; ++i) order[i] = std::int64_t(keys[i] & 0xffffffffu);
}

}  // namespace mhdnn::cpu
