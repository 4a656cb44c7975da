// Functions given one by one for each element as centre (mhdnn/descriptors/listed.py).
#include <algorithm>

#include "functions.h"
#include "resolved_functions.h"

namespace mhdnn {
namespace {

template <class T>
using Group = std::unique_ptr<FunctionGroup<T>>;

template <class T>
Group<T> make_listed_group(const GroupSource<T>& source, const std::string& prefix, int element) {
    const Weights& weights = source.weights;
    const std::string& kind = weights.text(prefix + ".kind");
    const auto basis = std::make_shared<const OwnBasis<T>>(weights, prefix);
    const double cutoff = weights.number(prefix + ".cutoff");
    const int num_elements = source.num_elements, num_radial = basis->basis.num_radial;
    if (kind != "radial" && kind != "narrow" && kind != "wide") weights.refuse(prefix + ".kind", "is unknown: " + kind);
    const Integers elements = weights.indices(prefix + ".elements", num_elements);
    const std::size_t num_listed = std::size_t(num_radial) * (kind == "radial" ? 1 : 2);
    if (elements.size() != num_listed) weights.refuse(prefix + ".elements", "has another size than its functions");
    if (kind == "radial") {
        const auto kept = std::make_shared<const Integers>(elements);
        const RadialListShape shape{num_elements, num_elements, num_radial, kept->data()};
        return std::make_unique<KernelGroup<T, RadialListShape, Integers>>(source, cutoff, basis, shape, kept);
    }
    const AngularFunctions functions = angular_functions(weights, prefix, num_radial);
    if (!std::is_sorted(functions.radial_index.begin(), functions.radial_index.end()))
        weights.refuse(prefix + ".radial_index", "is not ascending");
    for (int n = 0; n < num_radial; ++n)
        if (elements[2 * n] > elements[2 * n + 1]) weights.refuse(prefix + ".elements", "has a pair in falling order");
    const auto lists =
        std::make_shared<const ElementLists>(num_elements, num_radial, functions, elements, kind == "narrow");
    Group<T> triplets = std::make_unique<KernelGroup<T, TripletListShape, ElementLists>>(
        source, cutoff, basis, lists->shape(num_elements), lists);
    if (kind == "narrow") return triplets;
    const int max_degree = weights.integer(prefix + ".max_degree", 0);
    const double fewest = weights.limits(prefix + ".fewest_neighbors", 1)[0];
    if (max_degree > max_degree_limit)
        return std::make_unique<WideGroup<T>>(std::move(triplets), nullptr, Matrix<T>{}, 1, fewest, element);
    const auto of_moments = std::make_shared<const OwnBasis<T>>(weights, prefix, "moment_");
    const MomentShape shape{num_elements, num_elements, of_moments->basis.num_radial, max_degree, false, false};
    return std::make_unique<WideGroup<T>>(
        std::move(triplets), std::make_unique<KernelGroup<T, MomentShape>>(source, cutoff, of_moments, shape),
        matrix_of<T>(weights, prefix + ".coefficients"), 1, fewest, element);
}

template <class T>
class ListedFunctions : public FunctionGroup<T> {
public:
    ListedFunctions(const GroupSource<T>& source, const std::string& prefix)
        : num_functions_(source.weights.integer(prefix + ".num_functions", 1)), centers_(source.num_elements) {
        source.check_count(prefix, num_functions_);
        std::size_t most = 0;
        for (int element = 0; element < source.num_elements; ++element) {
            const std::string own = prefix + "." + std::to_string(element);
            Center& center = centers_[element];
            center.columns = source.weights.indices(own + ".columns", num_functions_);
            most = std::max(most, center.columns.size());
            std::size_t found = 0;
            const int num_groups = source.weights.integer(own + ".num_groups", 0);
            for (int group = 0; group < num_groups; ++group)
                center.groups.push_back(make_listed_group<T>(source, own + "." + std::to_string(group), element));
            for (const auto& group : center.groups) found += std::size_t(group->num_functions());
            if (found != center.columns.size())
                source.weights.refuse(own + ".columns", "has no number for each function");
        }
        values_.resize(most);
    }

    int num_functions() const override { return num_functions_; }
    void choose(const Counts& counts) override {
        for (Center& center : centers_)
            for (auto& group : center.groups) group->choose(counts);
    }
    void evaluate(int element, Lanes<T>* functions) override {
        const Center& center = centers_[element];
        Lanes<T>* values = values_.data();
        for (const auto& group : center.groups) {
            group->evaluate(element, values);
            values += group->num_functions();
        }
        std::fill(functions, functions + num_functions_, Lanes<T>(T(0)));
        for (std::size_t i = 0; i < center.columns.size(); ++i) functions[center.columns[i]] = values_[i];
    }
    void add_gradients(int element, const Lanes<T>* cotangent) override {
        const Center& center = centers_[element];
        for (std::size_t i = 0; i < center.columns.size(); ++i) values_[i] = cotangent[center.columns[i]];
        const Lanes<T>* values = values_.data();
        for (const auto& group : center.groups) {
            group->add_gradients(element, values);
            values += group->num_functions();
        }
    }

private:
    struct Center {
        Integers columns;
        std::vector<Group<T>> groups;
    };
    int num_functions_;
    std::vector<Center> centers_;
    std::vector<Lanes<T>> values_;
};

}  // namespace

template <class T>
Group<T> make_listed(const GroupSource<T>& source, const std::string& prefix) {
    return std::make_unique<ListedFunctions<T>>(source, prefix);
}

template Group<float> make_listed(const GroupSource<float>&, const std::string&);
template Group<double> make_listed(const GroupSource<double>&, const std::string&);

}  // namespace mhdnn
