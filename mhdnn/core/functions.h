// Groups of symmetry functions (mhdnn/descriptors) of a block of atoms: the kernels of mhdnn/kernels, bound to weights.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "block.h"
#include "weights.h"

namespace mhdnn {

// Views of a block, one for each cutoff and way to sort.
template <class T>
class Views {
public:
    explicit Views(const Block<T>& block) : block_(block) {}

    View<T>& view(double cutoff, int num_elements) {
        for (auto& known : views_)
            if (known->is_for(cutoff, num_elements)) return *known;
        views_.push_back(std::make_unique<View<T>>(block_, cutoff, num_elements));
        return *views_.back();
    }

    void load(T* gradient) {
        for (auto& view : views_) view->load(gradient);
    }

private:
    const Block<T>& block_;
    std::vector<std::unique_ptr<View<T>>> views_;
};

// Functions of one kind; one object for each thread.
template <class T>
class FunctionGroup {
public:
    virtual ~FunctionGroup() = default;
    virtual int num_functions() const = 0;
    // Before the blocks of a structure.
    virtual void choose(const Counts&) {}
    // Of the atoms in the views, which are loaded.
    virtual void evaluate(int element, Lanes<T>* functions) = 0;
    // Adds the gradient of sum cotangent · functions to the block's; after `evaluate`.
    virtual void add_gradients(int element, const Lanes<T>* cotangent) = 0;
};

// What groups are made from.
template <class T>
struct GroupSource {
    const Weights& weights;
    Views<T>& views;
    int num_elements;

    // Refuses a group of more functions than are scaled, before any memory is taken for them.
    void check_count(const std::string& prefix, double num_functions) const {
        if (num_functions > weights.shape("scaling.function_mean", 1)[0])
            weights.refuse(prefix + ".kind", "has more functions than `scaling.function_mean`");
    }
};

// prefix: of the names of a group, such as descriptor.0.
template <class T>
std::unique_ptr<FunctionGroup<T>> make_group(const GroupSource<T>& source, const std::string& prefix);

// functions_contracted.cpp and functions_listed.cpp
template <class T>
std::unique_ptr<FunctionGroup<T>> make_contracted(const GroupSource<T>& source, const std::string& prefix);
template <class T>
std::unique_ptr<FunctionGroup<T>> make_listed(const GroupSource<T>& source, const std::string& prefix);

}  // namespace mhdnn
