// Contracted functions (mhdnn/descriptors/contracted.py): moments of learned densities, and their invariants.
#include <algorithm>

#include "cpu/densities.h"
#include "cpu/invariants.h"
#include "functions.h"
#include "resolved_functions.h"

namespace mhdnn {
namespace {

template <class T>
DensityShape density_shape(const GroupSource<T>& source, const std::string& prefix, int max_degree) {
    const Weights& weights = source.weights;
    const auto shape = weights.shape(prefix + ".coefficients", 4);
    if (shape[0] != source.num_elements || shape[1] != source.num_elements || shape[2] == 0 ||
        shape[3] != weights.shape(prefix + ".etas", 1)[0])
        weights.refuse(prefix + ".coefficients", "has another shape than its elements and radial functions");
    source.check_count(prefix, shape[2]);
    return {source.num_elements, shape[2], shape[3], max_degree};
}

// Coefficients, a view with neighbours of all elements in one row, and a kernel.
template <class T, class Kernel>
class Densities {
public:
    Densities(const GroupSource<T>& source, const std::string& prefix, const DensityShape& shape)
        : basis_(source.weights, prefix),
          coefficients_(source.weights.template numbers<T>(prefix + ".coefficients", shape.num_coefficients())),
          view_(source.views.view(source.weights.number(prefix + ".cutoff"), 1)), arguments_(arguments()),
          kernel_(shape, arguments_) {}

    const Lanes<T>* moments() {
        view_.attach(arguments_, nullptr);
        arguments_.functions = &wanted_;
        kernel_.evaluate(view_.neighbors, nullptr, nullptr);
        return kernel_.moments();
    }

    void add_gradients(const Lanes<T>* by_moments) {
        view_.attach(arguments_, view_.arguments.vector_gradient);
        arguments_.functions = nullptr;
        kernel_.evaluate(view_.neighbors, by_moments, nullptr);
    }

private:
    Arguments<T> arguments() const {
        Arguments<T> result{};
        result.channel_table = coefficients_.data();
        result.basis = basis_.basis;
        return result;
    }

    OwnBasis<T> basis_;
    std::vector<T> coefficients_;
    View<T>& view_;
    Arguments<T> arguments_;
    T wanted_ = T(0);  // kernels look whether functions are wanted, and don't write them
    Kernel kernel_;
};

template <class T, class Kernel>
class ContractedRadial : public FunctionGroup<T> {
public:
    ContractedRadial(const GroupSource<T>& source, const std::string& prefix)
        : num_functions_(density_shape(source, prefix, 0).num_densities),
          densities_(source, prefix, density_shape(source, prefix, 0)) {}

    int num_functions() const override { return num_functions_; }
    void evaluate(int, Lanes<T>* functions) override {
        const Lanes<T>* const moments = densities_.moments();
        std::copy(moments, moments + num_functions_, functions);
    }
    void add_gradients(int, const Lanes<T>* cotangent) override { densities_.add_gradients(cotangent); }

private:
    int num_functions_;
    Densities<T, Kernel> densities_;
};

template <class T>
FourBodyTables four_body_tables(const GroupSource<T>& source, const std::string& prefix, const DensityShape& of) {
    const int degree =
        source.weights.integer(prefix + ".four_body_degree", 0, std::min(of.max_degree, four_body_degree_limit));
    const int num_densities = source.weights.integer(prefix + ".four_body_densities", 0, of.num_densities);
    const double num_three_body = 0.5 * of.num_densities * (of.num_densities + 1.0) * (of.max_degree + 1.0);
    source.check_count(prefix, num_three_body + double(num_four_body_functions(degree, num_densities)));
    return {degree, num_densities};
}

template <class T>
class ContractedAngular : public FunctionGroup<T> {
public:
    ContractedAngular(const GroupSource<T>& source, const std::string& prefix)
        : density_shape_(
              density_shape(source, prefix, source.weights.integer(prefix + ".max_degree", 0, max_degree_limit))),
          four_body_(four_body_tables(source, prefix, density_shape_)),
          shape_{density_shape_.num_densities, density_shape_.max_degree, four_body_.shape()},
          densities_(source, prefix, density_shape_), invariants_(shape_), by_moments_(shape_.num_moments()) {}

    int num_functions() const override { return shape_.num_functions(); }
    void evaluate(int, Lanes<T>* functions) override {
        const Lanes<T>* const moments = densities_.moments();
        std::copy(moments, moments + shape_.num_moments(), invariants_.moments());
        invariants_.couple();
        invariants_.functions(functions);
    }
    void add_gradients(int, const Lanes<T>* cotangent) override {
        invariants_.gradients(cotangent, by_moments_.data());
        densities_.add_gradients(by_moments_.data());
    }

private:
    DensityShape density_shape_;
    FourBodyTables four_body_;
    InvariantShape shape_;
    Densities<T, cpu::DensityKernel<Lanes<T>>> densities_;
    cpu::InvariantKernel<Lanes<T>> invariants_;
    std::vector<Lanes<T>> by_moments_;
};

}  // namespace

template <class T>
std::unique_ptr<FunctionGroup<T>> make_contracted(const GroupSource<T>& source, const std::string& prefix) {
    using Real = Lanes<T>;
    if (source.weights.text(prefix + ".kind") == "contracted_angular")
        return std::make_unique<ContractedAngular<T>>(source, prefix);
    if (source.num_elements == 1)
        return std::make_unique<ContractedRadial<T, cpu::RadialDensityKernel<Real, cpu::UniformSums<Real>>>>(
            source, prefix);
    return std::make_unique<ContractedRadial<T, cpu::RadialDensityKernel<Real, cpu::ElementSums<Real>>>>(
        source, prefix);
}

template std::unique_ptr<FunctionGroup<float>> make_contracted(const GroupSource<float>&, const std::string&);
template std::unique_ptr<FunctionGroup<double>> make_contracted(const GroupSource<double>&, const std::string&);

}  // namespace mhdnn
