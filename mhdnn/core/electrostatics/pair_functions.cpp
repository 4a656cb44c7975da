#include "pair_functions.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "gaussians.h"
#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

constexpr int pieces_bits = 4;  // 2^4 for each factor of two of u + s
constexpr int dropped_bits = 52 - pieces_bits;
constexpr double shift_per_square = 8.0;  // s in units of the narrowest pair's γ²
constexpr std::int64_t typical_pieces = 80;

using Row = Lanes<double>;
using Bits = VectorTypes<double>::Bits;

std::int64_t bits_of(double value) {
    std::int64_t result;
    std::memcpy(&result, &value, sizeof result);
    return result;
}

double from_bits(std::int64_t bits) {
    double result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}

}  // namespace

Kinds::Kinds(const std::vector<double>& widths_of_atoms) {
    for (const double width : widths_of_atoms) {
        const auto found = std::find(widths.begin(), widths.end(), width);
        kind.push_back(static_cast<std::int32_t>(found - widths.begin()));
        if (found == widths.end()) widths.push_back(width);
    }
}

std::int64_t PairFunctions::cost(std::size_t num_widths) {
    return typical_pieces * num_terms * static_cast<std::int64_t>(num_widths * (num_widths + 1) / 2);
}

PairFunctions::PairFunctions(const std::vector<double>& widths, double smearing, double largest_squared)
    : num_kinds_(static_cast<std::int64_t>(widths.size())), starts_(widths.size() * widths.size()) {
    const double narrowest = *std::min_element(widths.begin(), widths.end());
    first_ = bits_of(shift_per_square * 2.0 * narrowest * narrowest) >> dropped_bits;
    shift_ = from_bits(first_ << dropped_bits);
    num_pieces_ = (bits_of(largest_squared + shift_) >> dropped_bits) - first_ + 1;
    for (std::size_t one = 0; one < widths.size(); ++one)
        for (std::size_t other = one; other < widths.size(); ++other) {
            starts_[one * widths.size() + other] = starts_[other * widths.size() + one] =
                static_cast<std::int64_t>(pieces_.size());
            add_pieces(width_of_pair(widths[one], widths[other]), smearing);
        }
}

// Interpolates at the zeros of a Chebyshev polynomial.
void PairFunctions::add_pieces(double width, double smearing) {
    std::vector<double> squared(num_pieces_ * num_terms), values(squared.size()), slopes(squared.size());
    std::array<double, num_terms> nodes;
    for (int node = 0; node < num_terms; ++node) nodes[node] = std::cos(pi * (node + 0.5) / num_terms);
    std::vector<double> half_lengths(num_pieces_);
    for (std::int64_t piece = 0; piece < num_pieces_; ++piece) {
        const double start = from_bits((first_ + piece) << dropped_bits),
                     end = from_bits((first_ + piece + 1) << dropped_bits);
        half_lengths[piece] = 0.5 * (end - start);
        for (int node = 0; node < num_terms; ++node)
            squared[piece * num_terms + node] = start + half_lengths[piece] * (1.0 + nodes[node]) - shift_;
    }
    pair_values(
        static_cast<std::int64_t>(squared.size()), squared.data(), std::vector<double>(squared.size(), width).data(),
        smearing, values.data(), slopes.data());
    for (std::int64_t piece = 0; piece < num_pieces_; ++piece) {
        // coefficients of Chebyshev polynomials, then of powers: T_n+1 = 2 t T_n - T_n-1
        Piece powers{}, last{}, polynomial{};
        polynomial[0] = 1.0;
        for (int n = 0; n < num_terms; ++n) {
            double coefficient = 0.0;
            for (int node = 0; node < num_terms; ++node)
                coefficient += (n == 0 ? 1.0 : 2.0) / num_terms * values[piece * num_terms + node] *
                               std::cos(n * pi * (node + 0.5) / num_terms);
            for (int k = 0; k <= n; ++k) powers[k] += coefficient * polynomial[k];
            Piece next{};
            for (int k = 0; k <= n && k + 1 < num_terms; ++k) next[k + 1] = (n == 0 ? 1.0 : 2.0) * polynomial[k];
            for (int k = 0; k < num_terms; ++k) next[k] -= last[k];
            last = polynomial;
            polynomial = next;
        }
        double scale = 1.0;
        for (double& power : powers) {
            power *= scale;
            scale /= half_lengths[piece];
        }
        pieces_.push_back(powers);
    }
}

// Of the pairs in the lanes; their intervals in a row of numbers.
template <class Start>
inline void PairFunctions::evaluate_row(Row u, const Start& start_of_lane, Row& value, Row& slope) const {
    constexpr std::int64_t half = std::int64_t(1) << (dropped_bits - 1),
                           kept = ~((std::int64_t(1) << dropped_bits) - 1);
    u = u + Row(shift_);
    const Bits bits = (Bits)u.native, number = (bits >> dropped_bits) - first_;
    const Row x(u.native - (Row::Native)((bits & kept) | half));
    Row terms[num_terms];
    for (int lane = 0; lane < Row::width; ++lane)
        std::memcpy(&terms[lane], pieces_[start_of_lane(lane) + number[lane]].data(), sizeof(Piece));
    transpose(terms);
    value = terms[num_terms - 1];
    slope = Row(0.0);
    for (int k = num_terms - 2; k >= 0; --k) {
        slope = slope * x + value;
        value = value * x + terms[k];
    }
}

void PairFunctions::evaluate(
    std::int32_t own_kind, std::int64_t count, const std::int32_t* place, const std::int32_t* kind_of_place,
    const double* squared, double* values, double* slopes) const {
    const std::int64_t* const starts = &starts_[own_kind * num_kinds_];
    const auto start_of = [&](std::int64_t pair) { return starts[kind_of_place[place[pair]]]; };
    const std::int64_t whole = count - count % Row::width, rest = count - whole;
    Row u, value, slope;
    for (std::int64_t pair = 0; pair < whole; pair += Row::width) {
        std::memcpy(&u, squared + pair, sizeof u);
        evaluate_row(u, [&](int lane) { return start_of(pair + lane); }, value, slope);
        std::memcpy(values + pair, &value, sizeof value);
        std::memcpy(slopes + pair, &slope, sizeof slope);
    }
    if (rest == 0) return;
    u = Row(0.0);
    for (int lane = 0; lane < rest; ++lane) u.set(lane, squared[whole + lane]);
    evaluate_row(u, [&](int lane) { return start_of(whole + std::min<std::int64_t>(lane, rest - 1)); }, value, slope);
    for (int lane = 0; lane < rest; ++lane) {
        values[whole + lane] = value[lane];
        slopes[whole + lane] = slope[lane];
    }
}

}  // namespace mhdnn::electrostatics
