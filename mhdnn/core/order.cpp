#include "order.h"

#include <algorithm>

namespace mhdnn {
namespace {

using cpu::atoms_sorted_together;
constexpr int elements_counted = 4;

// Numbers of neighbours of the first elements, 8 bits each, and in the lower half the place in the list.
std::uint64_t key_of(const Pairs& pairs, int num_elements, std::int64_t center, std::uint64_t place) {
    std::uint64_t counts[elements_counted] = {};
    const std::int64_t first = pairs.first[center], end = pairs.first[center + 1];
    if (num_elements == 1) counts[0] = std::uint64_t(end - first);
    for (std::int64_t pair = first; num_elements > 1 && pair < end; ++pair) {
        const int element = pairs.element[pairs.neighbor[pair]];
        if (element < elements_counted) ++counts[element];
    }
    std::uint64_t key = 0;
    for (const std::uint64_t count : counts) key = key << 8 | std::min<std::uint64_t>(count, 255);
    return key << 32 | place;
}

}  // namespace

BlockOrder::BlockOrder(const Pairs& pairs, int num_elements, int width) : counts_(num_elements) {
    std::vector<std::uint64_t> keys;
    std::vector<std::int64_t> own;
    centers_.reserve(pairs.num_centers);
    for (int element = 0; element < num_elements; ++element) {
        own.clear();
        for (std::int64_t center = 0; center < pairs.num_centers; ++center) {
            if (pairs.element[center] != element) continue;
            own.push_back(center);
            counts_.pairs[element] += pairs.first[center + 1] - pairs.first[center];
        }
        counts_.atoms[element] = std::int64_t(own.size());
        for (std::size_t first = 0; first < own.size(); first += atoms_sorted_together) {
            const std::size_t end = std::min<std::size_t>(own.size(), first + atoms_sorted_together);
            keys.clear();
            for (std::size_t place = first; place < end; ++place)
                keys.push_back(key_of(pairs, num_elements, own[place], place - first));
            std::sort(keys.begin(), keys.end());
            for (const std::uint64_t key : keys) centers_.push_back(own[first + (key & 0xffffffffu)]);
        }
        const std::int64_t last = std::int64_t(centers_.size());
        while (starts_.back() < last) starts_.push_back(std::min<std::int64_t>(last, starts_.back() + width));
    }
}

}  // namespace mhdnn
