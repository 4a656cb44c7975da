#include "network.h"

#include <algorithm>
#include <stdexcept>

namespace mhdnn {

template <class T>
Network<T>::Network(const Weights& weights, const std::string& prefix, int num_elements, int num_inputs)
    : num_inputs_(num_inputs), scale_(T(weights.number(prefix + ".output_scale"))), elements_(num_elements) {
    const std::string& kind = weights.text(prefix + ".kind");
    if (kind == "shared")
        read_shared(weights, prefix);
    else if (kind == "per_element" || kind == "layers")
        read_separate(weights, prefix, kind == "layers");
    else
        throw std::runtime_error(
            "unknown kind of network: " + kind + "; build this program with the version of mhdnn that wrote the file");
    if (weights.has(prefix + ".linear_table")) read_linear(weights, prefix);
}

template <class T>
std::vector<std::shared_ptr<const Layer<T>>> Network<T>::read_layers(
    const Weights& weights, const std::string& prefix) const {
    std::vector<std::shared_ptr<const Layer<T>>> result;
    for (const std::string& function : weights.words(prefix + ".functions")) {
        const std::string own = prefix + "." + std::to_string(result.size());
        const auto shape = weights.shape(own + ".weight", 2);
        if (!result.empty() && shape[1] != result.back()->weight.num_rows)
            throw std::runtime_error("`" + own + ".weight` of the plain weights doesn't fit to the layer before it");
        auto layer = std::make_shared<Layer<T>>();
        layer->weight = {shape[0], shape[1], weights.numbers<T>(own + ".weight")};
        layer->transposed = layer->weight.transposed();
        if (weights.has(own + ".bias")) layer->bias = weights.numbers<T>(own + ".bias", shape[0]);
        layer->function = activation_from_name(function);
        result.push_back(std::move(layer));
    }
    if (result.empty() || result.back()->weight.num_rows != 1)
        throw std::runtime_error("`" + prefix + "` of the plain weights: expected layers that end with one number");
    return result;
}

// The species are the last inputs: their share of the first layer is the same for all atoms of an element.
template <class T>
void Network<T>::read_shared(const Weights& weights, const std::string& prefix) {
    const int num_members = weights.integer(prefix + ".num_members", 1);
    const int num_species = weights.shape(prefix + ".species", 2)[1];
    const auto species = weights.numbers<T>(prefix + ".species", elements_.size() * num_species);
    scale_ = scale_ / T(num_members);
    for (int member = 0; member < num_members; ++member) {
        auto layers = read_layers(weights, prefix + "." + std::to_string(member));
        const Layer<T>& all = *layers[0];
        if (all.weight.num_columns != num_inputs_ + num_species)
            throw std::runtime_error("`" + prefix + "` of the plain weights has a first layer of another size");
        auto first = std::make_shared<Layer<T>>();
        first->function = all.function;
        first->weight = {all.weight.num_rows, num_inputs_, {}};
        for (int row = 0; row < all.weight.num_rows; ++row)
            first->weight.values.insert(
                first->weight.values.end(), all.weight.row(row), all.weight.row(row) + num_inputs_);
        first->transposed = first->weight.transposed();
        for (std::size_t element = 0; element < elements_.size(); ++element) {
            std::vector<T> bias = all.bias.empty() ? std::vector<T>(all.weight.num_rows, T(0)) : all.bias;
            for (int row = 0; row < all.weight.num_rows; ++row)
                for (int k = 0; k < num_species; ++k)
                    bias[row] += all.weight.row(row)[num_inputs_ + k] * species[element * num_species + k];
            auto own = layers;
            own[0] = first;
            elements_[element].members.push_back({{}, own, bias});
        }
    }
}

template <class T>
void Network<T>::read_separate(const Weights& weights, const std::string& prefix, bool with_columns) {
    for (std::size_t element = 0; element < elements_.size(); ++element) {
        const std::string own = prefix + "." + std::to_string(element);
        Perceptron<T> perceptron;
        perceptron.layers = read_layers(weights, own);
        const Layer<T>& first = *perceptron.layers[0];
        perceptron.first_bias = first.bias.empty() ? std::vector<T>(first.weight.num_rows, T(0)) : first.bias;
        int num_inputs = num_inputs_;
        if (with_columns) {
            for (const std::int64_t column : weights.indices(own + ".columns", num_inputs_))
                perceptron.columns.push_back(int(column));
            num_inputs = int(perceptron.columns.size());
        }
        if (first.weight.num_columns != num_inputs)
            throw std::runtime_error("`" + own + "` of the plain weights has a first layer of another size");
        elements_[element].members.push_back(std::move(perceptron));
    }
}

template <class T>
void Network<T>::read_linear(const Weights& weights, const std::string& prefix) {
    const int num_blocks = weights.shape(prefix + ".linear_table", 2)[1], size = 1 + num_inputs_;
    const auto table = weights.numbers<T>(prefix + ".linear_table", elements_.size() * num_blocks);
    const auto blocks = weights.numbers<T>(prefix + ".linear_weight", std::size_t(num_blocks) * size);
    for (std::size_t element = 0; element < elements_.size(); ++element) {
        auto& linear = elements_[element].linear;
        linear.assign(size, T(0));
        for (int block = 0; block < num_blocks; ++block)
            for (int i = 0; i < size; ++i) linear[i] += table[element * num_blocks + block] * blocks[block * size + i];
    }
}

template <class T>
Lanes<T> Network<T>::evaluate(int element, const Lanes<T>* inputs, Lanes<T>* gradient, Space& space) const {
    const OfElement& own = elements_[element];
    Lanes<T> energy(T(0));
    for (const auto& member : own.members) energy = energy + add_member(member, inputs, gradient, space);
    if (own.linear.empty()) return energy;
    Lanes<T> linear(own.linear[0]);
    for (int i = 0; i < num_inputs_; ++i) {
        const Lanes<T> weight(own.linear[1 + i]);
        linear = linear + inputs[i] * weight;
        gradient[i] = gradient[i] + weight;
    }
    return energy + linear;
}

template <class T>
Lanes<T> Network<T>::add_member(
    const Perceptron<T>& network, const Lanes<T>* inputs, Lanes<T>* gradient, Space& space) const {
    const Lanes<T>* x = inputs;
    if (!network.columns.empty()) {
        space.inputs.resize(network.columns.size());
        for (std::size_t i = 0; i < network.columns.size(); ++i) space.inputs[i] = inputs[network.columns[i]];
        x = space.inputs.data();
    }
    std::size_t num_nodes = 0, widest = 0;
    for (const auto& layer : network.layers) {
        num_nodes += layer->weight.num_rows;
        widest = std::max<std::size_t>(
            {widest, std::size_t(layer->weight.num_rows), std::size_t(layer->weight.num_columns)});
    }
    space.values.resize(num_nodes);
    space.slopes.resize(num_nodes);
    space.gradient.resize(widest);
    space.next.resize(widest);
    Lanes<T>*values = space.values.data(), *slopes = space.slopes.data();
    for (const auto& layer : network.layers) {
        const int size = layer->weight.num_rows;
        const std::vector<T>& bias = layer == network.layers.front() ? network.first_bias : layer->bias;
        for (int i = 0; i < size; ++i) values[i] = Lanes<T>(bias.empty() ? T(0) : bias[i]);
        add_product(layer->weight, x, values);
        for (int i = 0; i < size; ++i) activate(layer->function, values[i], values[i], slopes[i]);
        x = values;
        values += size;
        slopes += size;
    }
    const Lanes<T> scale(scale_), energy = x[0] * scale;
    space.gradient[0] = scale;
    for (std::size_t number = network.layers.size(); number-- > 0;) {
        const Layer<T>& layer = *network.layers[number];
        slopes -= layer.weight.num_rows;
        for (int i = 0; i < layer.weight.num_rows; ++i) space.gradient[i] = space.gradient[i] * slopes[i];
        const bool last = number == 0 && network.columns.empty();
        Lanes<T>* const by_inputs = last ? gradient : space.next.data();
        if (!last) std::fill(by_inputs, by_inputs + layer.weight.num_columns, Lanes<T>(T(0)));
        add_product(layer.transposed, space.gradient.data(), by_inputs);
        if (!last) std::swap(space.gradient, space.next);
    }
    for (std::size_t i = 0; i < network.columns.size(); ++i)
        gradient[network.columns[i]] = gradient[network.columns[i]] + space.gradient[i];
    return energy;
}

template class Network<float>;
template class Network<double>;

}  // namespace mhdnn
