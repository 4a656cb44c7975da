// Groups whose functions are resolved by channels of elements: a kernel of cpu/evaluate.h with its shape and basis.
#pragma once

#include <utility>

#include "cpu/evaluate.h"
#include "function_lists.h"
#include "functions.h"
#include "products.h"

namespace mhdnn {

// Numbers of a radial basis, and the basis that points to them.
template <class T>
struct OwnBasis {
    std::vector<T> etas, shifts;
    RadialBasis<T> basis;

    OwnBasis(const Weights& weights, const std::string& prefix, const std::string& names = "")
        : etas(weights.numbers<T>(prefix + "." + names + "etas")),
          shifts(weights.numbers<T>(prefix + "." + names + "shifts", etas.size())) {
        const std::string& function = weights.text(prefix + ".cutoff_function");
        basis = {
            etas.data(),
            shifts.data(),
            int(etas.size()),
            T(reach(weights, prefix)),
            cutoff_function_from_name(function),
            T(inner_fraction_from_name(function))};
    }
    OwnBasis(const OwnBasis&) = delete;

    // No pair beyond the model's cutoff is known.
    static double reach(const Weights& weights, const std::string& prefix) {
        const double cutoff = weights.positive(prefix + ".cutoff")[0];
        if (cutoff > weights.number("cutoff")) weights.refuse(prefix + ".cutoff", "is larger than the model's");
        return cutoff;
    }
};

constexpr std::int64_t most_zeta = 1000000;

// Radial function, ζ and λ of each function of pairs of neighbours.
inline AngularFunctions angular_functions(const Weights& weights, const std::string& prefix, int num_radial) {
    AngularFunctions result{
        weights.indices(prefix + ".radial_index", num_radial), weights.integers(prefix + ".zetas"),
        weights.integers(prefix + ".lambdas")};
    const std::size_t size = result.radial_index.size();
    if (result.zetas.size() != size || result.lambdas.size() != size)
        weights.refuse(prefix + ".zetas", "and .lambdas: expected " + std::to_string(size) + " numbers");
    for (std::size_t f = 0; f < size; ++f)
        if (result.zetas[f] < 1 || result.zetas[f] > most_zeta || std::abs(result.lambdas[f]) != 1)
            weights.refuse(
                prefix + ".zetas",
                "and .lambdas: expected powers of 1 to " + std::to_string(most_zeta) + ", and 1 or -1");
    return result;
}

template <class T>
Matrix<T> matrix_of(const Weights& weights, const std::string& name) {
    const auto shape = weights.shape(name, 2);
    return {shape[0], shape[1], weights.template numbers<T>(name)};
}

// Weights of elements in channels.
template <class T>
struct Channels {
    int num_channels;
    std::vector<Lanes<T>> weights;

    Channels(const Weights& given, int num_elements) : num_channels(given.shape("descriptor.channels", 2)[1]) {
        if (num_channels == 0) given.refuse("descriptor.channels", "has none");
        for (const T value : given.numbers<T>("descriptor.channels", std::size_t(num_elements) * num_channels))
            weights.push_back(Lanes<T>(value));
    }
    ChannelTable<Lanes<T>> table(int num_elements) const { return {weights.data(), num_elements, num_channels}; }
};

template <class T>
using KeptBasis = std::shared_ptr<const OwnBasis<T>>;

// lists: what the shape points to.
template <class T, class Shape, class Lists = int>
class KernelGroup : public FunctionGroup<T> {
public:
    KernelGroup(
        const GroupSource<T>& source, double cutoff, KeptBasis<T> basis, const Shape& shape,
        std::shared_ptr<const Lists> lists = nullptr)
        : basis_(std::move(basis)), lists_(std::move(lists)), channels_(source.weights, source.num_elements),
          view_(source.views.view(cutoff, source.num_elements)), num_functions_(shape.num_functions()),
          kernel_(shape, basis_->basis, channels_.table(source.num_elements)) {}

    int num_functions() const override { return num_functions_; }
    void evaluate(int, Lanes<T>* functions) override {
        kernel_.evaluate(view_.neighbors, nullptr);
        kernel_.functions(functions);
    }
    void add_gradients(int, const Lanes<T>* cotangent) override {
        if (needs_cotangent) kernel_.evaluate(view_.neighbors, cotangent);
        kernel_.gradients(view_.neighbors, cotangent, nullptr);
    }

private:
    // Sums over pairs of neighbours find the gradients on the way.
    static constexpr bool needs_cotangent =
        std::is_same<Shape, TripletShape>::value || std::is_same<Shape, TripletListShape>::value;

    KeptBasis<T> basis_;
    std::shared_ptr<const Lists> lists_;
    Channels<T> channels_;
    View<T>& view_;
    int num_functions_;
    cpu::KernelOf<Lanes<T>, Shape> kernel_;
};

// Wide functions: linear combinations of sums over moments where there are many neighbours, else sums over pairs.
template <class T>
class WideGroup : public FunctionGroup<T> {
public:
    using Group = std::unique_ptr<FunctionGroup<T>>;

    // combinations: of sums of one block; there are num_blocks. element: whose neighbours are counted, -1 for all.
    WideGroup(
        Group triplets, Group sums, const Matrix<T>& combinations, int num_blocks, double fewest_neighbors, int element)
        : triplets_(std::move(triplets)), sums_(std::move(sums)), combinations_(combinations.transposed()),
          transposed_(combinations), num_blocks_(num_blocks), fewest_neighbors_(fewest_neighbors), element_(element),
          values_(sums_ ? sums_->num_functions() : 0) {
        if (sums_ && (num_blocks * combinations.num_rows != sums_->num_functions() ||
                      num_blocks * combinations.num_columns != triplets_->num_functions()))
            throw std::runtime_error("`coefficients` of the plain weights have another size than the functions");
    }

    int num_functions() const override { return triplets_->num_functions(); }
    void choose(const Counts& counts) override {
        by_pairs_ = !sums_ || (element_ < 0 ? counts.has_fewer_neighbors(fewest_neighbors_)
                                            : counts.has_fewer_neighbors(fewest_neighbors_, element_));
    }
    void evaluate(int element, Lanes<T>* functions) override {
        if (by_pairs_) return triplets_->evaluate(element, functions);
        sums_->evaluate(element, values_.data());
        for (int block = 0; block < num_blocks_; ++block)
            combinations_.multiply(
                values_.data() + block * transposed_.num_rows(), functions + block * combinations_.num_rows());
    }
    void add_gradients(int element, const Lanes<T>* cotangent) override {
        if (by_pairs_) return triplets_->add_gradients(element, cotangent);
        for (int block = 0; block < num_blocks_; ++block)
            transposed_.multiply(
                cotangent + block * combinations_.num_rows(), values_.data() + block * transposed_.num_rows());
        sums_->add_gradients(element, values_.data());
    }

private:
    Group triplets_, sums_;
    SparseMatrix<T> combinations_, transposed_;
    int num_blocks_;
    double fewest_neighbors_;
    int element_;
    std::vector<Lanes<T>> values_;
    bool by_pairs_ = false;
};

}  // namespace mhdnn
