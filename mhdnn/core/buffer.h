// Memory that one step after the other uses again: fresh memory costs a page fault for every 4 kB, and zeros.
#pragma once

#include <cstddef>
#include <utility>

namespace mhdnn {

struct MemoryBlock {
    void* memory = nullptr;
    std::size_t size = 0;  // bytes
};
// At least so many bytes, of any content. Blocks that are given back are kept for the next one who takes as many.
MemoryBlock take_block(std::size_t bytes);
void give_block_back(MemoryBlock block);

// A fixed number of plain numbers, not set to anything.
template <class T>
class Buffer {
public:
    explicit Buffer(std::size_t size) : block_(take_block(size * sizeof(T))), size_(size) {}
    Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, {})), size_(std::exchange(other.size_, 0)) {}
    Buffer(const Buffer&) = delete;
    ~Buffer() { give_block_back(block_); }

    T* data() { return static_cast<T*>(block_.memory); }
    const T* data() const { return static_cast<const T*>(block_.memory); }
    T& operator[](std::size_t i) { return data()[i]; }
    const T& operator[](std::size_t i) const { return data()[i]; }
    std::size_t size() const { return size_; }

private:
    MemoryBlock block_;
    std::size_t size_;
};

}  // namespace mhdnn
