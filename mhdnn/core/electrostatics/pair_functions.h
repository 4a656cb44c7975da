// Interaction of pairs and its slope by u = r², interpolated: error functions of many pairs cost more than anything
// else of a product, and atoms have few widths.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "lanes.h"

namespace mhdnn::electrostatics {

// Atoms by their widths.
struct Kinds {
    std::vector<double> widths;      // different ones
    std::vector<std::int32_t> kind;  // of each atom

    explicit Kinds(const std::vector<double>& widths_of_atoms);
};

// Polynomials in u, as many intervals for each factor of two of u + s; s so that all are short against the narrowest
// pair. What they miss of `pair_values` (gaussians.h) is round-off.
class PairFunctions {
public:
    PairFunctions(const std::vector<double>& widths, double smearing, double largest_squared);

    // How many values of `pair_values` it takes to make them.
    static std::int64_t cost(std::size_t num_widths);
    // Values and slopes of the pairs of an atom. Values may take the place of squares.
    void evaluate(
        std::int32_t own_kind, std::int64_t count, const std::int32_t* place, const std::int32_t* kind_of_place,
        const double* squared, double* values, double* slopes) const;

private:
    static constexpr int num_terms = 8;
    using Piece = std::array<double, num_terms>;  // coefficients of the powers of u from the middle of the interval

    void add_pieces(double width, double smearing);
    template <class Start>
    void evaluate_row(
        Lanes<double> squared, const Start& start_of_lane, Lanes<double>& value, Lanes<double>& slope) const;

    double shift_;
    std::int64_t first_, num_pieces_;  // bits of u + s where the first begins, of one function
    std::int64_t num_kinds_;
    std::vector<Piece> pieces_;
    std::vector<std::int64_t> starts_;  // of the pieces of each pair of kinds
};

}  // namespace mhdnn::electrostatics
