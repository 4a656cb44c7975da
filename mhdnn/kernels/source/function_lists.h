// Names and lists that describe functions, without torch: what operators and models are given.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lists.h"

namespace mhdnn {

using Integers = std::vector<std::int64_t>;

/// A name, or a name and the fraction of the cutoff up to which the function is one: `cosine:0.25`.
/// @throws std::invalid_argument for others
inline CutoffFunction cutoff_function_from_name(std::string_view name) {
    constexpr const char* known[] = {// in the order of CutoffFunction
                                     "cosine",      "polynomial",  "tanh",        "hard",       "tanh_unscaled",
                                     "exponential", "polynomial3", "polynomial7", "polynomial9"};
    const std::string_view kind = name.substr(0, name.find(':'));
    int number = 0;
    std::string names;
    for (const std::string_view each : known) {
        if (kind == each) return CutoffFunction(number);
        names += (number++ == 0 ? "" : ", ") + std::string(each);
    }
    throw std::invalid_argument("`cutoff_function`: expected " + names + ", got " + std::string(name));
}

inline double inner_fraction_from_name(std::string_view name) {
    const auto colon = name.find(':');
    if (colon == std::string_view::npos) return 0.0;
    const std::string text(name.substr(colon + 1));
    char* end = nullptr;
    const double fraction = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || *end != '\0' || !(fraction >= 0.0 && fraction < 1.0)) {
        throw std::invalid_argument(
            "`cutoff_function`: expected an inner fraction of at least 0 and below 1 after the colon, got " +
            std::string(name));
    }
    return fraction;
}

/// Radial function, ζ and λ of each function of pairs of neighbours.
struct AngularFunctions {
    Integers radial_index, zetas, lambdas;
};

/// The same with equal powers merged: a power for each function, and ζ and λ of each power.
struct MergedPowers {
    Integers radial_index, power_index, zetas, lambdas;

    explicit MergedPowers(const AngularFunctions& all) : MergedPowers(all, 0, all.zetas.size(), 0) {}

    /// Functions first ... end - 1, their radial functions counted from first_radial on.
    MergedPowers(const AngularFunctions& all, std::size_t first, std::size_t end, std::int64_t first_radial) {
        std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> known;
        for (std::size_t f = first; f < end; ++f) {
            radial_index.push_back(all.radial_index[f] - first_radial);
            const auto [place, is_new] = known.insert({{all.zetas[f], all.lambdas[f]}, std::int64_t(known.size())});
            if (is_new) {
                zetas.push_back(all.zetas[f]);
                lambdas.push_back(all.lambdas[f]);
            }
            power_index.push_back(place->second);
        }
    }
};

/// Functions of pairs of neighbours for certain elements (lists.h), in blocks; shapes point into these lists.
class ElementLists {
public:
    /// elements: two for each of num_radial radial functions.
    ElementLists(
        int num_elements, int num_radial, const AngularFunctions& functions, const Integers& elements, bool narrow)
        : num_elements_(num_elements), num_radial_(num_radial), num_angular_(int(functions.zetas.size())) {
        std::size_t function = 0;
        for (int first = 0; first < num_radial;) {
            const std::int64_t a = elements[2 * first], b = elements[2 * first + 1];
            int end = first + 1;
            while (end < num_radial && elements[2 * end] == a && elements[2 * end + 1] == b) ++end;
            const std::size_t first_function = function;
            while (function < functions.zetas.size() && functions.radial_index[function] < end) ++function;
            lists_.emplace_back(functions, first_function, function, first);  // whose numbers never move
            const MergedPowers& own = lists_.back();
            const TripletShape shape{
                num_elements,
                num_elements,
                end - first,
                int(own.zetas.size()),
                int(function - first_function),
                narrow,
                own.radial_index.data(),
                own.power_index.data(),
                own.zetas.data(),
                own.lambdas.data(),
                true};
            blocks_.push_back({int(a), int(b), first, int(first_function), shape});
            first = end;
        }
    }

    ElementLists(const ElementLists&) = delete;
    ElementLists(ElementLists&&) = default;

    TripletListShape shape(int num_channels) const {
        return {num_elements_, num_channels, num_radial_, num_angular_, int(blocks_.size()), blocks_.data()};
    }

private:
    int num_elements_, num_radial_, num_angular_;
    std::vector<MergedPowers> lists_;
    std::vector<TripletBlock> blocks_;
};

}  // namespace mhdnn
