// What the kernels of all shapes share: a block of threads evaluates one atom after the other.
#pragma once

#include "../arguments.h"
#include "../channels.h"
#include "platform.cuh"

namespace mhdnn::cuda {

/// Hands out arrays of the block's shared memory; with a null start it only counts bytes.
class Memory {
public:
    MHDNN_FUNCTION explicit Memory(unsigned char* start) : start_(start) {}

    template <class X>
    MHDNN_FUNCTION X* take(std::size_t count) {
        size_ = (size_ + alignof(X) - 1) / alignof(X) * alignof(X);
        X* array = start_ == nullptr ? nullptr : reinterpret_cast<X*>(start_ + size_);
        size_ += count * sizeof(X);
        return array;
    }

    MHDNN_FUNCTION std::size_t size() const { return size_; }

private:
    unsigned char* start_;
    std::size_t size_ = 0;
};

/// The threads of the block share the numbers 0 ... count - 1; the same thread gets the same numbers every time.
template <class Action>
MHDNN_DEVICE void share(int count, Action action) {
    for (int i = int(threadIdx.x); i < count; i += int(blockDim.x)) action(i);
}

/// Rows of an odd length: threads with a row each don't meet in the banks of shared memory.
MHDNN_FUNCTION int row_length(int size) { return size | 1; }

/// Adds term(i) to sums[group[i] * stride] for i = first, first + step ... below end; members of a group in a row
/// are added up in a register.
template <class Real, class Term>
MHDNN_DEVICE void add_by_group(int first, int end, int step, const int* group, Real* sums, int stride, Term term) {
    if (first >= end) return;
    int current = group[first];
    Real total = sums[current * stride];
    for (int i = first; i < end; i += step) {
        if (group[i] != current) {
            sums[current * stride] = total;
            current = group[i];
            total = sums[current * stride];
        }
        total = total + term(i);
    }
    sums[current * stride] = total;
}

/// Sums over neighbours of products f_n Y_lm, a thread for each lm and a few n, so that Y_lm is read once for them.
class Products {
public:
    MHDNN_FUNCTION Products(int num_radial, int num_harmonics)
        : num_radial_(num_radial), num_harmonics_(num_harmonics) {}

    /// Chooses the number of n: the least of turns of the block times what each neighbour costs in one.
    MHDNN_DEVICE void prepare() {
        int least = 0;
        for (int number = 1; number <= most && number <= num_radial_; ++number) {
            const int num_parts = (num_radial_ + number - 1) / number;
            const int turns = (num_parts * num_harmonics_ + int(blockDim.x) - 1) / int(blockDim.x);
            const int cost = turns * (7 + 2 * number);
            if (number == 1 || cost < least) {
                least = cost;
                together_ = number;
            }
        }
    }

    /// Adds f_n Y_lm of all places to sums[group * num_radial * num_harmonics + n * num_harmonics + lm]; no group: 0.
    /// rows + i * row has Y_lm and, from radial_place on, f_n.
    template <class Real, class Sum>
    MHDNN_DEVICE void add(int count, const int* group, const Real* rows, int row, int radial_place, Sum* sums) const {
        if (count == 0) return;
        const int num_parts = (num_radial_ + together_ - 1) / together_;
        share(num_parts * num_harmonics_, [&](int j) {
            const int lm = j % num_harmonics_, first = j / num_harmonics_ * together_, rest = num_radial_ - first;
            const Real* neighbor = rows + radial_place + first;
            add_few(
                count, group, rows + lm, neighbor, row, sums + first * num_harmonics_ + lm,
                rest < together_ ? rest : together_);
        });
    }

private:
    static constexpr int most = 8;

    template <class Real, class Sum>
    MHDNN_DEVICE void add_few(
        int count, const int* group, const Real* harmonic, const Real* radial, int row, Sum* sums, int number) const {
        const int stride = num_radial_ * num_harmonics_;
        int current = group == nullptr ? 0 : group[0];
        Sum total[most];
        const auto each = [&](auto action) {
            MHDNN_UNROLL
            for (int n = 0; n < most; ++n) {
                if (n < number) action(n, sums[current * stride + n * num_harmonics_]);
            }
        };
        each([&](int n, Sum& sum) { total[n] = sum; });
        for (int i = 0; i < count; ++i) {
            if (group != nullptr && group[i] != current) {
                each([&](int n, Sum& sum) { sum = total[n]; });
                current = group[i];
                each([&](int n, Sum& sum) { total[n] = sum; });
            }
            const Real y = harmonic[i * row];
            MHDNN_UNROLL
            for (int n = 0; n < most; ++n) {
                if (n >= number) continue;
                const Real product = radial[i * row + n] * y;
                if constexpr (std::is_same<Real, Sum>::value) {
                    total[n] = total[n] + product;
                } else {
                    total[n] = total[n] + result(product);
                }
            }
        }
        each([&](int n, Sum& sum) { sum = total[n]; });
    }

    int num_radial_, num_harmonics_, together_ = 1;
};

/// The pairs of one atom: all, or those listed as near.
struct Neighbors {
    std::int64_t first;
    int count;
    const std::int64_t* near;

    MHDNN_FUNCTION std::int64_t pair(int i) const { return near == nullptr ? first + i : near[first + i]; }
};

template <class T>
MHDNN_DEVICE Neighbors all_neighbors_of(const Arguments<T>& arguments, std::int64_t num_pairs, std::int64_t atom) {
    const std::int64_t first = arguments.first_pair[atom], end = arguments.first_pair[atom + 1];
    MHDNN_CHECK(0 <= first && first <= end && end <= num_pairs);
    MHDNN_CHECK((atom > 0 || first == 0) && (atom + 1 < arguments.num_atoms || end == num_pairs));
    return {first, int(end - first), nullptr};
}

template <class T>
MHDNN_DEVICE Neighbors neighbors_of(const Arguments<T>& arguments, std::int64_t num_pairs, std::int64_t atom) {
    const Neighbors all = all_neighbors_of(arguments, num_pairs, atom);
    if (arguments.near_pair == nullptr) return all;
    return {all.first, int(arguments.num_near[atom]), arguments.near_pair};
}

/// Reads and writes the arrays of an evaluation; channel table and radial basis are copied to shared memory.
template <class Real>
class Model {
public:
    using T = Scalar<Real>;

    MHDNN_FUNCTION Model(const Arguments<T>& arguments, int num_elements, int num_channels, Memory& memory)
        : arguments_(arguments), basis_(arguments.basis), num_elements_(num_elements), num_channels_(num_channels),
          weights_(memory.take<Real>(num_elements * num_channels)), etas_(memory.take<T>(basis_.num_radial)),
          shifts_(memory.take<T>(basis_.num_radial)) {
        basis_.etas = etas_;
        basis_.shifts = shifts_;
    }

    MHDNN_DEVICE void load() {
        share(num_elements_ * num_channels_, [&](int i) {
            weights_[i] = number(arguments_.channel_table, arguments_.table_tangents, i);
        });
        share(basis_.num_radial, [&](int n) {
            etas_[n] = arguments_.basis.etas[n];
            shifts_[n] = arguments_.basis.shifts[n];
        });
    }

    MHDNN_FUNCTION const RadialBasis<T>& basis() const { return basis_; }
    MHDNN_FUNCTION ChannelTable<Real> table() const { return {weights_, num_elements_, num_channels_}; }
    MHDNN_FUNCTION bool has_cotangent() const { return arguments_.cotangent != nullptr; }
    MHDNN_FUNCTION bool wants_vectors() const { return arguments_.vector_gradient != nullptr; }

    /// A number of a table that is too large for the shared memory.
    MHDNN_DEVICE Real coefficient(std::int64_t i) const {
        return number(arguments_.channel_table, arguments_.table_tangents, i);
    }

    MHDNN_DEVICE int center_element(std::int64_t atom) const {
        const std::int64_t element = arguments_.center_element[atom];
        MHDNN_CHECK(0 <= element && element < num_elements_);
        return int(element);
    }

    MHDNN_DEVICE int element(std::int64_t pair) const {
        const std::int64_t element = arguments_.neighbor_element[pair];
        MHDNN_CHECK(0 <= element && element < num_elements_);
        return int(element);
    }

    MHDNN_DEVICE void vector(std::int64_t pair, Real& x, Real& y, Real& z) const {
        x = number(arguments_.pair_vectors, arguments_.pair_tangents, 3 * pair);
        y = number(arguments_.pair_vectors, arguments_.pair_tangents, 3 * pair + 1);
        z = number(arguments_.pair_vectors, arguments_.pair_tangents, 3 * pair + 2);
    }

    MHDNN_DEVICE Direction<Real> direction(std::int64_t pair) const {
        Real x, y, z;
        vector(pair, x, y, z);
        return direction_of(x, y, z);
    }

    MHDNN_DEVICE void store_gradient(std::int64_t pair, Real by_x, Real by_y, Real by_z) const {
        T* out = arguments_.vector_gradient + 3 * pair;
        out[0] = result(by_x);
        out[1] = result(by_y);
        out[2] = result(by_z);
    }

private:
    MHDNN_DEVICE static Real number(const T* values, const T* tangents, std::int64_t i) {
        if constexpr (has_tangent<Real>) {
            return {values[i], tangents[i]};
        } else {
            return values[i];
        }
    }

    const Arguments<T>& arguments_;
    RadialBasis<T> basis_;
    int num_elements_, num_channels_;
    Real* weights_;
    T *etas_, *shifts_;
};

/// Adds up the neighbours of an atom tile by tile. The last tile is still in shared memory when the gradients are
/// made, so an atom whose neighbours fit into one tile is read and prepared once.
class Tiles {
public:
    MHDNN_FUNCTION explicit Tiles(int size) : size_(size) {}

    MHDNN_FUNCTION int size() const { return size_; }

    /// stage(i, pair) prepares a neighbour in place i, each by one thread; add(count) uses all places.
    template <class Stage, class Add>
    MHDNN_DEVICE void forward(Neighbors neighbors, Stage stage, Add add) {
        for (int first = 0; first < neighbors.count; first += size_) {
            __syncthreads();
            const int count = tile(neighbors, first, stage);
            __syncthreads();
            add(count);
        }
        __syncthreads();
    }

    /// use(i, pair) is called by the thread that prepared the place.
    template <class Stage, class Use>
    MHDNN_DEVICE void backward(Neighbors neighbors, Stage stage, Use use) {
        for (int first = (neighbors.count - 1) / size_ * size_; first >= 0 && neighbors.count > 0; first -= size_) {
            const bool is_staged = first + size_ >= neighbors.count;
            tile(neighbors, first, [&](int i, std::int64_t pair) {
                if (!is_staged) stage(i, pair);
                use(i, pair);
            });
        }
    }

private:
    template <class Action>
    MHDNN_DEVICE int tile(Neighbors neighbors, int first, Action action) const {
        const int rest = neighbors.count - first, count = rest < size_ ? rest : size_;
        share(count, [&](int i) { action(i, neighbors.pair(first + i)); });
        return count;
    }

    int size_;
};

}  // namespace mhdnn::cuda
