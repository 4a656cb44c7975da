#include "buffer.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <vector>

namespace mhdnn {
namespace {

constexpr std::size_t most_kept = 48;           // blocks
constexpr std::size_t worth_keeping = 1 << 16;  // bytes; for less, the C library is as good

// Blocks that nobody has.
class Kept {
public:
    ~Kept() {
        for (const MemoryBlock& block : blocks_) ::operator delete(block.memory);
    }

    // The smallest that is large enough, and not far too large.
    MemoryBlock take(std::size_t bytes) {
        const std::lock_guard<std::mutex> lock(mutex_);
        auto best = blocks_.end();
        for (auto block = blocks_.begin(); block != blocks_.end(); ++block)
            if (block->size >= bytes && block->size <= 2 * bytes && (best == blocks_.end() || block->size < best->size))
                best = block;
        if (best == blocks_.end()) return {};
        const MemoryBlock result = *best;
        blocks_.erase(best);
        return result;
    }

    // Beyond some, the one that was given back first goes.
    void give_back(MemoryBlock block) {
        const std::lock_guard<std::mutex> lock(mutex_);
        blocks_.push_back(block);
        if (blocks_.size() <= most_kept) return;
        ::operator delete(blocks_.front().memory);
        blocks_.erase(blocks_.begin());
    }

private:
    std::mutex mutex_;
    std::vector<MemoryBlock> blocks_;
} kept;

}  // namespace

MemoryBlock take_block(std::size_t bytes) {
    if (bytes == 0) return {};
    if (bytes >= worth_keeping) {
        const MemoryBlock found = kept.take(bytes);
        if (found.memory) return found;
        bytes += bytes / 8;  // the next step may need a little more
    }
    return {::operator new(bytes), bytes};
}

void give_block_back(MemoryBlock block) {
    if (block.size >= worth_keeping)
        kept.give_back(block);
    else
        ::operator delete(block.memory);
}

}  // namespace mhdnn
