// Atomic networks (mhdnn/networks.py, ensemble.py, layered_network.py) for atoms of one element, one in each lane:
//
//     E = s mean_members MLP(G, x_Z) + w_Z · [1, G]
//
// and the gradient by G. What the first layer adds for the species x_Z is part of its bias.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "activations.h"
#include "products.h"
#include "weights.h"

namespace mhdnn {

template <class T>
struct Layer {
    Matrix<T> weight, transposed;
    std::vector<T> bias;  // empty: none
    Activation function;
};

// Layers one after the other; their weights may belong to several elements, the first bias doesn't.
template <class T>
struct Perceptron {
    std::vector<int> columns;  // inputs that it takes; empty: all
    std::vector<std::shared_ptr<const Layer<T>>> layers;
    std::vector<T> first_bias;
};

template <class T>
class Network {
public:
    // prefix: network or electronegativity.
    Network(const Weights& weights, const std::string& prefix, int num_elements, int num_inputs);

    // Working space of one thread.
    struct Space {
        std::vector<Lanes<T>> inputs, values, slopes, gradient, next;
    };

    // Adds the gradient by the inputs to `gradient`; returns the energies.
    Lanes<T> evaluate(int element, const Lanes<T>* inputs, Lanes<T>* gradient, Space& space) const;

private:
    struct OfElement {
        std::vector<Perceptron<T>> members;
        std::vector<T> linear;  // w of [1, G]; empty without a linear part
    };
    std::vector<std::shared_ptr<const Layer<T>>> read_layers(const Weights&, const std::string& prefix) const;
    void read_shared(const Weights&, const std::string& prefix);
    void read_separate(const Weights&, const std::string& prefix, bool with_columns);
    void read_linear(const Weights&, const std::string& prefix);
    Lanes<T> add_member(const Perceptron<T>&, const Lanes<T>* inputs, Lanes<T>* gradient, Space& space) const;

    int num_inputs_;
    T scale_;  // of each member
    std::vector<OfElement> elements_;
};

}  // namespace mhdnn
