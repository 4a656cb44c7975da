// The order in which atoms are evaluated: blocks of one element and similar numbers of neighbours.
#pragma once

#include <cstdint>
#include <vector>

#include "block.h"
#include "pairs.h"

namespace mhdnn {

class BlockOrder {
public:
    struct Part {
        const std::int64_t* centers;
        int count;
    };

    BlockOrder() : counts_(0) {}
    // width: most atoms of a block.
    BlockOrder(const Pairs& pairs, int num_elements, int width);

    std::int64_t num_blocks() const { return std::int64_t(starts_.size()) - 1; }
    Part block(std::int64_t number) const {
        return {centers_.data() + starts_[number], int(starts_[number + 1] - starts_[number])};
    }
    const Counts& counts() const { return counts_; }

private:
    std::vector<std::int64_t> centers_, starts_ = {0};
    Counts counts_;
};

}  // namespace mhdnn
