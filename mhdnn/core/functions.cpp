#include "functions.h"

#include <stdexcept>

#include "resolved_functions.h"

namespace mhdnn {
namespace {

template <class T>
using Group = std::unique_ptr<FunctionGroup<T>>;

template <class T>
struct Maker {
    const GroupSource<T>& source;
    const std::string& prefix;
    KeptBasis<T> basis = std::make_shared<OwnBasis<T>>(source.weights, prefix);
    double cutoff = source.weights.number(prefix + ".cutoff");
    int num_channels = Channels<T>(source.weights, source.num_elements).num_channels;
    int num_radial = basis->basis.num_radial;

    Group<T> radial() const {
        const RadialShape shape{source.num_elements, num_channels, num_radial};
        return std::make_unique<KernelGroup<T, RadialShape>>(source, cutoff, basis, shape);
    }

    Group<T> moments(int max_degree, bool cross_terms, bool own_terms) const {
        const MomentShape shape{source.num_elements, num_channels, num_radial, max_degree, cross_terms, own_terms};
        return std::make_unique<KernelGroup<T, MomentShape>>(source, cutoff, basis, shape);
    }

    Group<T> triplets(bool narrow) const {
        const auto lists = std::make_shared<const MergedPowers>(angular_functions(source.weights, prefix, num_radial));
        const TripletShape shape{
            source.num_elements,
            num_channels,
            num_radial,
            int(lists->zetas.size()),
            int(lists->radial_index.size()),
            narrow,
            lists->radial_index.data(),
            lists->power_index.data(),
            lists->zetas.data(),
            lists->lambdas.data()};
        return std::make_unique<KernelGroup<T, TripletShape, MergedPowers>>(source, cutoff, basis, shape, lists);
    }

    Group<T> wide() const {
        const Weights& weights = source.weights;
        if (!weights.has(prefix + ".coefficients")) return triplets(false);
        const double fewest = weights.number(prefix + ".fewest_neighbors");
        const int max_degree = weights.integer(prefix + ".max_degree");
        Group<T> sums;
        if (max_degree <= max_degree_limit) sums = moments(max_degree, false, false);
        const auto shape = weights.shape(prefix + ".coefficients", 2);
        const Matrix<T> combinations{
            int(shape[0]), int(shape[1]), weights.template numbers<T>(prefix + ".coefficients")};
        const int num_blocks = num_unordered_pairs(num_channels);
        return std::make_unique<WideGroup<T>>(triplets(false), std::move(sums), combinations, num_blocks, fewest, -1);
    }
};

}  // namespace

template <class T>
Group<T> make_group(const GroupSource<T>& source, const std::string& prefix) {
    const Weights& weights = source.weights;
    const std::string& kind = weights.text(prefix + ".kind");
    if (kind == "contracted_radial" || kind == "contracted_angular") return make_contracted<T>(source, prefix);
    if (kind == "listed") return make_listed<T>(source, prefix);
    const Maker<T> maker{source, prefix};
    if (kind == "radial") return maker.radial();
    if (kind == "legendre")
        return maker.moments(
            weights.integer(prefix + ".max_degree", 0, max_degree_limit), weights.integer(prefix + ".cross_terms") != 0,
            true);
    if (kind == "narrow") return maker.triplets(true);
    if (kind == "wide") return maker.wide();
    throw std::runtime_error(
        "unknown kind of symmetry functions: " + kind +
        "; build this program with the version of mhdnn that wrote the file");
}

template Group<float> make_group(const GroupSource<float>&, const std::string&);
template Group<double> make_group(const GroupSource<double>&, const std::string&);

}  // namespace mhdnn
