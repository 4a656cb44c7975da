// A few atoms of one element, as many as there are lanes, with their pairs: what is evaluated at once, and stays in the
// processor's cache from pair vectors to forces.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/neighborhood.h"
#include "pairs.h"

namespace mhdnn {

template <class T>
struct Block {
    static constexpr int width = Lanes<T>::width;

    int num_atoms = 0, element = 0;
    const std::int64_t* centers = nullptr;  // of the atoms, in the pairs of all
    std::int64_t first_pair[width + 1] = {}, center_element[width] = {}, numbers[width];
    std::vector<std::int64_t> neighbor_element;  // of the block's pairs
    std::vector<T> vectors, gradient;            // the same, 3 numbers each

    Block() {
        for (int lane = 0; lane < width; ++lane) numbers[lane] = lane;
    }

    // Atoms centers[0] ... centers[count - 1]; the gradient is cleared.
    void load(const Pairs& pairs, const std::int64_t* of_block, int count) {
        centers = of_block;
        num_atoms = count;
        element = pairs.element[of_block[0]];
        for (int lane = 0; lane < count; ++lane) {
            center_element[lane] = element;
            first_pair[lane + 1] = first_pair[lane] + pairs.first[centers[lane] + 1] - pairs.first[centers[lane]];
        }
        const std::size_t num_pairs = first_pair[count];
        if (neighbor_element.size() < num_pairs) {
            neighbor_element.resize(num_pairs);
            vectors.resize(3 * num_pairs);
            gradient.resize(3 * num_pairs);
        }
        for (int lane = 0; lane < count; ++lane) {
            const std::int64_t from = pairs.first[centers[lane]], to = first_pair[lane];
            const std::int64_t size = first_pair[lane + 1] - to;
            const double* const source = pairs.vectors.data() + 3 * from;
            const int* const neighbor = pairs.neighbor.data() + from;
            for (std::int64_t i = 0; i < 3 * size; ++i) vectors[3 * to + i] = T(source[i]);
            for (std::int64_t i = 0; i < size; ++i) neighbor_element[to + i] = pairs.element[neighbor[i]];
        }
        std::fill(gradient.begin(), gradient.begin() + 3 * num_pairs, T(0));
    }

    // Writes the gradient to its places among the pairs of all.
    void store_gradient(const Pairs& pairs, T* all) const {
        for (int lane = 0; lane < num_atoms; ++lane)
            std::copy(
                gradient.begin() + 3 * first_pair[lane], gradient.begin() + 3 * first_pair[lane + 1],
                all + 3 * pairs.first[centers[lane]]);
    }
};

// Numbers of atoms and pairs, on which the way to sum some functions depends.
struct Counts {
    std::vector<std::int64_t> atoms, pairs;  // of centres of each element

    explicit Counts(int num_elements) : atoms(num_elements, 0), pairs(num_elements, 0) {}

    bool has_fewer_neighbors(double least) const {
        std::int64_t all_atoms = 0, all_pairs = 0;
        for (std::size_t e = 0; e < atoms.size(); ++e) all_atoms += atoms[e], all_pairs += pairs[e];
        return double(all_pairs) < least * double(all_atoms);
    }
    bool has_fewer_neighbors(double least, int element) const {
        return double(pairs[element]) < least * double(atoms[element]);
    }
};

// The neighbours of a block within a cutoff, in lanes, sorted by element or (num_elements 1) in one row.
template <class T>
class View {
public:
    View(const Block<T>& block, double cutoff, int num_elements)
        : block_(block), cutoff_(cutoff), num_elements_(num_elements), neighbors(arguments, num_elements, true) {
        arguments = Arguments<T>{};
        arguments.basis.cutoff = T(cutoff);
    }
    View(const View&) = delete;

    bool is_for(double cutoff, int num_elements) const { return cutoff == cutoff_ && num_elements == num_elements_; }

    void load(T* gradient) {
        attach(arguments, gradient);
        neighbors.load(block_.numbers, block_.num_atoms);
    }

    // The block's arrays, which may have moved.
    void attach(Arguments<T>& to, T* gradient) const {
        to.num_atoms = block_.num_atoms;
        to.first_pair = block_.first_pair;
        to.neighbor_element = block_.neighbor_element.data();
        to.center_element = block_.center_element;
        to.pair_vectors = block_.vectors.data();
        to.vector_gradient = gradient;
    }

private:
    const Block<T>& block_;
    double cutoff_;
    int num_elements_;

public:
    Arguments<T> arguments;
    cpu::Neighborhood<Lanes<T>> neighbors;
};

}  // namespace mhdnn
