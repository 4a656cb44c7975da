// CUDA's blocks and threads on the CPU: the kernels' source runs unchanged, a thread of the operating system for
// every thread of a block, one block after the other. Include it before the kernels.
//
// Shared memory holds NaN before each block and has guards behind it; barriers are real ones, so a missing one is
// a data race that ThreadSanitizer sees.
#pragma once

#define MHDNN_CUDA_EMULATION

#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#define MHDNN_DEVICE inline
#define MHDNN_KERNEL inline void
#define MHDNN_SHARED_MEMORY(name) unsigned char* name = mhdnn::cuda::emulation::shared_memory
#define MHDNN_CHECK(condition)                                                                    \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            std::fprintf(stderr, "%s:%d: kernel assertion %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                         \
        }                                                                                         \
    } while (false)

using cudaError_t = int;
using cudaStream_t = void*;
constexpr cudaError_t cudaSuccess = 0;

namespace mhdnn::cuda::emulation {

struct Index {
    unsigned x = 0;
};

inline unsigned char* shared_memory = nullptr;
/// Barriers in turn: ThreadSanitizer takes a thread that leaves a barrier for ordered after all who came to it since,
/// also to its next use.
constexpr int num_barrier_objects = 8;
inline pthread_barrier_t barriers[num_barrier_objects];
inline thread_local int next_barrier = 0;
/// Number of a barrier of every block that is left out, to see that its absence is found; -1 for none.
inline int left_out_barrier = -1;
inline thread_local int num_barriers = 0;

inline void wait(bool is_left_out = false) {
    pthread_barrier_t* barrier = &barriers[next_barrier++ % num_barrier_objects];
    if (!is_left_out) pthread_barrier_wait(barrier);
}

}  // namespace mhdnn::cuda::emulation

inline thread_local mhdnn::cuda::emulation::Index threadIdx, blockIdx;
inline mhdnn::cuda::emulation::Index blockDim, gridDim;

inline void __syncthreads() {
    using namespace mhdnn::cuda::emulation;
    wait(num_barriers++ == left_out_barrier);
}

#include "cuda/platform.cuh"

namespace mhdnn::cuda {
namespace emulation {

constexpr unsigned char guard = 0xa5;
constexpr std::size_t guard_size = 256;

/// Filled with NaN for every block by its first thread.
class SharedMemory {
public:
    explicit SharedMemory(std::size_t size) : size_(size), bytes_(size + guard_size + 16) {
        const std::size_t address = reinterpret_cast<std::size_t>(bytes_.data());
        shared_memory = bytes_.data() + (16 - address % 16) % 16;
        std::memset(shared_memory + size_, guard, guard_size);
    }

    void clear() { std::memset(shared_memory, 0xff, size_); }

    bool is_intact() const {
        for (std::size_t i = 0; i < guard_size; ++i) {
            if (shared_memory[size_ + i] != guard) return false;
        }
        return true;
    }

private:
    std::size_t size_;
    std::vector<unsigned char> bytes_;
};

template <class Kernel>
void run_thread(int thread, LaunchSize size, SharedMemory& memory, Kernel kernel) {
    threadIdx.x = unsigned(thread);
    for (int block = 0; block < size.blocks; ++block) {
        blockIdx.x = unsigned(block);
        num_barriers = 0;
        if (thread == 0) memory.clear();
        wait();
        kernel();
        wait();
    }
}

}  // namespace emulation

/// 0, or 1 after a write beyond the shared memory.
template <class... Parameters>
cudaError_t launch(void (*kernel)(Parameters...), LaunchSize size, cudaStream_t, Parameters... arguments) {
    emulation::SharedMemory memory(size.shared_bytes);
    for (auto& barrier : emulation::barriers) pthread_barrier_init(&barrier, nullptr, unsigned(size.threads));
    blockDim.x = unsigned(size.threads);
    gridDim.x = unsigned(size.blocks);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < size.threads; ++thread) {
        threads.emplace_back(
            [&, thread] { emulation::run_thread(thread, size, memory, [&] { kernel(arguments...); }); });
    }
    for (std::thread& thread : threads) thread.join();
    for (auto& barrier : emulation::barriers) pthread_barrier_destroy(&barrier);
    return memory.is_intact() ? cudaSuccess : 1;
}

}  // namespace mhdnn::cuda
