// What a model was trained on, and which atoms are outside: the C++ side of mhdnn/domain.py.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "pairs.h"
#include "weights.h"

namespace mhdnn {

class TrainingDomain {
public:
    TrainingDomain() = default;
    TrainingDomain(const Weights& weights, std::vector<std::string> elements, int num_functions, double cutoff);

    // Whether the ranges are those of the elements, with distances.
    bool is_complete() const;
    // Limits of the functions of an element's atoms.
    const double* lower(int element) const { return &functions_[place(0, element)]; }
    const double* upper(int element) const { return &functions_[place(3, element)]; }
    // Of elements among the neighbours, as DistanceLimits takes it.
    const std::vector<double>& share_range() const { return shares_; }
    bool charge_is_outside(double charge, int element) const;
    // In words what is outside of an atom with these functions; empty if nothing is. charge: may be null.
    std::string why_outside(
        const Pairs& pairs, std::int64_t center, const double* functions, const double* charge) const;
    // In words what is outside of a total charge (e); empty if nothing is.
    std::string why_total_charge(double total_charge) const;

private:
    std::size_t place(int limit, int element) const {
        return (std::size_t(limit) * elements_.size() + element) * num_functions_;
    }
    double of_element(const std::vector<double>& ranges, int limit, int element) const {
        return ranges[limit * elements_.size() + element];
    }
    std::string words_of_distances(const Pairs&, std::int64_t center) const;
    std::string words_of_count(int element, double count, bool is_alone) const;
    std::string words_of_shares(const Pairs&, std::int64_t center) const;
    std::string words_of_functions(int element, const double* functions) const;

    std::vector<std::string> elements_, names_;  // names of the functions
    int num_functions_ = 0;
    double cutoff_ = 0.0, slack_ = 0.0;
    std::vector<double> num_atoms_, functions_, distances_, counts_, shares_, charges_, total_charge_;
};

// Distances and counts of neighbours, which no function of the model needs.
struct DistanceLimits {
    double cutoff = 0.0;                   // Å
    std::vector<double> squared_distance;  // of pairs of elements, Å²
    std::vector<double> fewest, most;      // neighbours of elements, smooth counts
    std::vector<double> least, largest;    // shares of elements in these; empty: not known, or there is one element

    // From the ranges of distances (limits first), counts and shares (lower, minimum, maximum, upper).
    DistanceLimits() = default;
    DistanceLimits(
        double cutoff, const std::vector<double>& distance_range, const std::vector<double>& count_range,
        const std::vector<double>& share_range);
    // Whether a neighbour is too close, or neighbours are too few, too many, or of unusual elements.
    bool is_outside(const Pairs& pairs, std::int64_t center) const;
};

constexpr int num_atomic_numbers = 118;
// Sums over the neighbours of each element of (1 - r²/r_c²)², of all that there may be.
using SmoothCounts = std::array<double, num_atomic_numbers>;
SmoothCounts smooth_counts(const Pairs& pairs, std::int64_t center, double cutoff, std::size_t num_elements);
// A number with four digits, as mhdnn.domain.rounded writes it.
std::string rounded(double value);

}  // namespace mhdnn
