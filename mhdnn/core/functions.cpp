#include "functions.h"

#include <stdexcept>

#include "resolved_functions.h"

namespace mhdnn {
namespace {

template <class T>
using Group = std::unique_ptr<FunctionGroup<T>>;

// Of n things, with repetition; such that no integer overflows.
double num_pairs_of(double n) { return n * (n + 1.0) / 2.0; }

template <class T>
struct Maker {
    const GroupSource<T>& source;
    const std::string& prefix;
    KeptBasis<T> basis = std::make_shared<OwnBasis<T>>(source.weights, prefix);
    double cutoff = source.weights.number(prefix + ".cutoff");
    int num_channels = Channels<T>(source.weights, source.num_elements).num_channels;
    int num_radial = basis->basis.num_radial;

    Group<T> radial() const {
        source.check_count(prefix, double(num_channels) * num_radial);
        const RadialShape shape{source.num_elements, num_channels, num_radial};
        return std::make_unique<KernelGroup<T, RadialShape>>(source, cutoff, basis, shape);
    }

    Group<T> legendre() const {
        const int max_degree = source.weights.integer(prefix + ".max_degree", 0, max_degree_limit);
        const bool cross_terms = source.weights.integer(prefix + ".cross_terms", 0, 1) != 0;
        const double num_pairs =
            cross_terms ? num_pairs_of(double(num_channels) * num_radial) : num_pairs_of(num_channels) * num_radial;
        source.check_count(prefix, num_pairs * (max_degree + 1));
        return moments(max_degree, cross_terms, true);
    }

    Group<T> moments(int max_degree, bool cross_terms, bool own_terms) const {
        const MomentShape shape{source.num_elements, num_channels, num_radial, max_degree, cross_terms, own_terms};
        return std::make_unique<KernelGroup<T, MomentShape>>(source, cutoff, basis, shape);
    }

    Group<T> triplets(bool narrow) const {
        const auto lists = std::make_shared<const MergedPowers>(angular_functions(source.weights, prefix, num_radial));
        source.check_count(prefix, num_pairs_of(num_channels) * double(lists->radial_index.size()));
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
        const double fewest = weights.limits(prefix + ".fewest_neighbors", 1)[0];
        const int max_degree = weights.integer(prefix + ".max_degree", 0);
        Group<T> by_pairs = triplets(false), sums;
        if (max_degree <= max_degree_limit) sums = moments(max_degree, false, false);
        const int num_blocks = num_unordered_pairs(num_channels);
        return std::make_unique<WideGroup<T>>(
            std::move(by_pairs), std::move(sums), matrix_of<T>(weights, prefix + ".coefficients"), num_blocks, fewest,
            -1);
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
    if (kind == "legendre") return maker.legendre();
    if (kind == "narrow") return maker.triplets(true);
    if (kind == "wide") return maker.wide();
    throw std::runtime_error(
        "unknown kind of symmetry functions: " + kind +
        "; build this program with the version of mhdnn that wrote the file");
}

template Group<float> make_group(const GroupSource<float>&, const std::string&);
template Group<double> make_group(const GroupSource<double>&, const std::string&);

}  // namespace mhdnn
