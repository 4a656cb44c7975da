// Passes through the network of all elements (operators_networks.cpp has their formulas), without autograd.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <string>
#include <vector>

namespace mhdnn::networks {

using torch::autograd::variable_list;
using Tensors = std::vector<at::Tensor>;

// What the operators are given. Layers: weight and bias of each, the last one's weight alone.
struct Network {
    at::Tensor functions, element, species, linear_weight, scale;
    Tensors layers;
    std::string activation;

    std::int64_t num_functions() const { return functions.size(1); }
    std::int64_t num_layers() const { return static_cast<std::int64_t>(layers.size()) / 2; }
    bool is_linear() const { return linear_weight.numel() > 0; }
    const at::Tensor& weight(std::int64_t layer) const { return layers[2 * layer]; }
    const at::Tensor& bias(std::int64_t layer) const { return layers[2 * layer + 1]; }
    const at::Tensor& last() const { return layers.back(); }
    at::Tensor of_functions() const { return weight(0).narrow(1, 0, num_functions()); }
    at::Tensor of_species() const { return weight(0).narrow(1, num_functions(), species.size(1)); }
    // Of each number of the table: constant, and weights of the functions.
    at::Tensor blocks() const { return linear_weight.view({1 + species.size(1), -1}); }
    at::Tensor table() const { return at::cat({at::ones_like(species.narrow(1, 0, 1)), species}, 1); }
    // First layer and linear part in one product: the functions are the largest of all arrays.
    at::Tensor first_matrix() const {
        if (!is_linear()) return of_functions();
        return at::cat({of_functions(), blocks().narrow(1, 1, num_functions())});
    }

    variable_list all() const {
        variable_list result = {functions, element, species, linear_weight, scale};
        result.insert(result.end(), layers.begin(), layers.end());
        return result;
    }
};
constexpr std::size_t num_before_layers = 5;

// What a pass leaves for the next: z, h and a'(z) of each layer, the table's rows of the atoms, products of the linear
// part.
struct Passed {
    Tensors z, h, slope;
    at::Tensor rows, linear;
};

// a_k and d_k of the layers.
struct Adjoints {
    Tensors a, d;
};

at::Tensor energies(const Network& network, Passed& passed);
// At the cotangents u of the energies.
Adjoints adjoints_of(const Network& network, const Passed& passed, const at::Tensor& u);
// u·∂E/∂x, shape (num_atoms, num_functions).
at::Tensor by_functions(const Network& network, const Passed& passed, const Adjoints& adjoints, const at::Tensor& u);
// Gradients in the order of `Network::all`: of u·E by the parameters.
void first_gradients(
    const Network& network, const Passed& passed, const Adjoints& adjoints, const at::Tensor& u,
    variable_list& gradients);
// Of the derivative along c of u·E, and of v·E unless v is undefined: by u (returned; without v·E), by the parameters,
// and by the functions from a number on.
at::Tensor second_gradients(
    const Network& network, const Passed& passed, const Adjoints& adjoints, const at::Tensor& u, const at::Tensor& c,
    const at::Tensor& v, std::int64_t from, variable_list& gradients);

}  // namespace mhdnn::networks
