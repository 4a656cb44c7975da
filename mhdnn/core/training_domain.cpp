#include "training_domain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace mhdnn {
namespace {

const std::string training_data = ", of the training data ";

std::string known_range(double lowest, double highest) { return rounded(lowest) + " to " + rounded(highest); }

}  // namespace

std::string rounded(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0.0 ? "-inf" : "inf";
    double size = std::abs(value);
    int exponent = size > 0.0 ? int(std::floor(std::log10(size))) : 0;
    std::string tail;
    if (size > 0.0 && (exponent < -4 || exponent > 6)) {
        size /= std::pow(10.0, exponent);
        tail = "e" + std::to_string(exponent);
        exponent = 0;
    }
    const int num_decimals = std::max(0, std::min(3 - exponent, 7));
    std::string digits = std::to_string((long long)(size * std::pow(10.0, num_decimals) + 0.5));
    if (int(digits.size()) < num_decimals + 1) digits.insert(0, num_decimals + 1 - digits.size(), '0');
    if (num_decimals > 0) digits.insert(digits.size() - num_decimals, ".");
    return (value < 0.0 ? "-" : "") + digits + tail;
}

SmoothCounts smooth_counts(const Pairs& pairs, std::int64_t center, double cutoff, std::size_t num_elements) {
    const double inverse = 1.0 / (cutoff * cutoff);
    SmoothCounts counts;
    std::fill_n(counts.begin(), num_elements, 0.0);
    for (std::int64_t pair = pairs.first[center]; pair < pairs.first[center + 1]; ++pair) {
        const double share = 1.0 - squared_length(&pairs.vectors[3 * pair]) * inverse;
        counts[pairs.element[pairs.neighbor[pair]]] += share * share;
    }
    return counts;
}

DistanceLimits::DistanceLimits(
    double cutoff, const std::vector<double>& distance_range, const std::vector<double>& count_range,
    const std::vector<double>& share_range)
    : cutoff(cutoff), fewest(count_range.begin(), count_range.begin() + count_range.size() / 4),
      most(count_range.end() - count_range.size() / 4, count_range.end()) {
    for (std::size_t pair = 0; pair < distance_range.size() / 2; ++pair)
        squared_distance.push_back(distance_range[pair] * distance_range[pair]);
    if (fewest.size() == 1) return;
    least.assign(share_range.begin(), share_range.begin() + share_range.size() / 4);
    largest.assign(share_range.end() - share_range.size() / 4, share_range.end());
}

bool DistanceLimits::is_outside(const Pairs& pairs, std::int64_t center) const {
    const int element = pairs.element[center];
    const double* const limits = &squared_distance[element * fewest.size()];
    bool close = false;
    for (std::int64_t pair = pairs.first[center]; pair < pairs.first[center + 1]; ++pair)
        close |= squared_length(&pairs.vectors[3 * pair]) < limits[pairs.element[pairs.neighbor[pair]]];
    const std::size_t n = fewest.size();
    const SmoothCounts counts = smooth_counts(pairs, center, cutoff, n);
    const double count = std::accumulate(counts.begin(), counts.begin() + n, 0.0);
    bool unusual = false;
    for (std::size_t other = 0; other < n && !least.empty(); ++other) {
        const double share = counts[other] / std::max(count, 1e-30);
        unusual |= share < least[element * n + other] || share > largest[element * n + other];
    }
    return close || unusual || count < fewest[element] || count > most[element];
}

TrainingDomain::TrainingDomain(
    const Weights& weights, std::vector<std::string> elements, int num_functions, double cutoff)
    : elements_(std::move(elements)), num_functions_(num_functions), cutoff_(cutoff) {
    const std::size_t n = elements_.size();
    num_atoms_ = weights.numbers<double>("domain.num_atoms", n);
    functions_ = weights.limits("domain.function_range", 4 * n * num_functions);
    distances_ = weights.limits("domain.distance_range", 2 * n * n);
    counts_ = weights.limits("domain.count_range", 4 * n);
    if (weights.has("domain.share_range")) shares_ = weights.limits("domain.share_range", 4 * n * n);
    charges_ = weights.limits("domain.charge_range", 4 * n);
    total_charge_ = weights.limits("domain.total_charge_range", 2);
    slack_ = weights.number("domain.total_charge_slack");
    for (int f = 0; f < num_functions; ++f) names_.push_back(weights.text("function." + std::to_string(f)));
}

bool TrainingDomain::is_complete() const {
    const bool any = std::any_of(num_atoms_.begin(), num_atoms_.end(), [](double count) { return count != 0.0; });
    const auto minima = functions_.begin() + place(1, 0);
    return any &&
           std::any_of(minima, functions_.begin() + place(2, 0), [](double value) { return std::isfinite(value); });
}

bool TrainingDomain::charge_is_outside(double charge, int element) const {
    return !(charge >= of_element(charges_, 0, element) && charge <= of_element(charges_, 3, element));
}

std::string TrainingDomain::why_outside(
    const Pairs& pairs, std::int64_t center, const double* functions, const double* charge) const {
    const int element = pairs.element[center];
    std::string text = words_of_distances(pairs, center);
    if (text.empty()) text = words_of_functions(element, functions);
    if (text.empty() && charge && charge_is_outside(*charge, element))
        text = "charge " + rounded(*charge) + " e" + training_data +
               known_range(of_element(charges_, 1, element), of_element(charges_, 2, element)) + " e";
    return text;
}

std::string TrainingDomain::words_of_distances(const Pairs& pairs, std::int64_t center) const {
    const int element = pairs.element[center], n = int(elements_.size());
    double largest = 0.0, distance = 0.0;
    int other = -1;
    for (std::int64_t pair = pairs.first[center]; pair < pairs.first[center + 1]; ++pair) {
        const int neighbor = pairs.element[pairs.neighbor[pair]];
        const double own = std::sqrt(squared_length(&pairs.vectors[3 * pair]));
        const double deficit = distances_[element * n + neighbor] - own;
        if (!(deficit > largest)) continue;
        largest = deficit;
        distance = own;
        other = neighbor;
    }
    if (other < 0) {
        const SmoothCounts counts = smooth_counts(pairs, center, cutoff_, n);
        const double count = std::accumulate(counts.begin(), counts.begin() + n, 0.0);
        const std::string text = words_of_count(element, count, pairs.first[center] == pairs.first[center + 1]);
        return text.empty() ? words_of_shares(pairs, center) : text;
    }
    const double smallest = distances_[(n + element) * n + other];
    const std::string known = smallest >= cutoff_ ? "never within the cutoff" : "at least " + rounded(smallest) + " Å";
    return elements_[element] + "-" + elements_[other] + " at " + rounded(distance) + " Å" + training_data + known;
}

std::string TrainingDomain::words_of_count(int element, double count, bool is_alone) const {
    if (of_element(counts_, 0, element) <= count && count <= of_element(counts_, 3, element)) return "";
    if (is_alone) return "no neighbour within the cutoff";
    return "neighbours (smooth count) " + rounded(count) + training_data +
           known_range(of_element(counts_, 1, element), of_element(counts_, 2, element));
}

std::string TrainingDomain::words_of_shares(const Pairs& pairs, std::int64_t center) const {
    const std::size_t n = elements_.size(), size = n * n, row = pairs.element[center] * n;
    if (n == 1 || shares_.empty()) return "";
    const SmoothCounts counts = smooth_counts(pairs, center, cutoff_, n);
    const double count = std::max(std::accumulate(counts.begin(), counts.begin() + n, 0.0), 1e-30);
    double largest = 0.0;
    std::string text;
    for (std::size_t other = 0; other < n; ++other) {
        const double share = counts[other] / count;
        const double excess = std::max(shares_[row + other] - share, share - shares_[3 * size + row + other]);
        if (!(excess > largest)) continue;
        largest = excess;
        text = "neighbours (smooth count) that are " + elements_[other] + " " + rounded(100.0 * share) + " %" +
               training_data +
               known_range(100.0 * shares_[size + row + other], 100.0 * shares_[2 * size + row + other]) + " %";
    }
    return text;
}

std::string TrainingDomain::words_of_functions(int element, const double* values) const {
    const double *const lowest = &functions_[place(1, element)], *const highest = &functions_[place(2, element)];
    bool any = false;
    for (int f = 0; f < num_functions_; ++f) any |= lowest[f] <= highest[f];
    if (!any) return "no " + elements_[element] + " in the training data";
    double largest = -1.0;
    int number = -1;
    bool outside = false;
    for (int f = 0; f < num_functions_; ++f) {
        const double low = lower(element)[f], high = upper(element)[f];
        double excess = std::max(low - values[f], values[f] - high);
        if (std::isnan(excess) || excess == std::numeric_limits<double>::infinity())
            excess = std::numeric_limits<double>::max();
        outside |= excess > 0.0;
        const double relative = excess / std::max(high - low, 1e-30);
        if (number >= 0 && !(relative > largest)) continue;
        largest = relative;
        number = f;
    }
    if (!outside) return "";
    return "`" + names_[number] + "` " + rounded(values[number]) + training_data +
           known_range(lowest[number], highest[number]);
}

std::string TrainingDomain::why_total_charge(double total_charge) const {
    const double smallest = total_charge_[0], largest = total_charge_[1];
    if (smallest - slack_ <= total_charge && total_charge <= largest + slack_) return "";
    const std::string known = rounded(smallest) + (smallest != largest ? " to " + rounded(largest) : "");
    return "total charge " + rounded(total_charge) + " e" + training_data + known + " e";
}

}  // namespace mhdnn
