// Work of threads behind functions that ctypes can call.
#include <atomic>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "threads.h"

namespace {

void spin(std::int64_t rounds) {
    for (volatile std::int64_t i = 0; i < rounds; i = i + 1) {
    }
}

}  // namespace

extern "C" {

// How often each piece was done; returns the number of threads that had one.
int count_pieces(std::int64_t num_pieces, int num_threads, std::int64_t rounds, int* counts) {
    std::vector<int> had(num_threads, 0);
    mhdnn::for_each_piece(num_pieces, num_threads, [&](int thread, std::int64_t piece) {
        spin(rounds);
        ++counts[piece];
        had.at(thread) = 1;
    });
    int result = 0;
    for (const int one : had) result += one;
    return result;
}

void count_in_ranges(std::int64_t count, std::int64_t least, int num_threads, int* counts) {
    mhdnn::for_ranges(count, least, num_threads, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) ++counts[i];
    });
}

// The message of a piece that throws; -1: none does.
int message(std::int64_t piece_that_throws, int num_threads, char* text, int size) {
    try {
        mhdnn::for_each_piece(100, num_threads, [&](int, std::int64_t piece) {
            if (piece == piece_that_throws) throw std::runtime_error("piece " + std::to_string(piece));
        });
    } catch (const std::exception& problem) {
        return int(std::string(problem.what()).copy(text, size - 1));
    }
    return 0;
}

// Pieces of pieces, from several callers at once; returns how many were done.
std::int64_t count_nested(int num_callers, int num_threads, std::int64_t num_pieces) {
    std::atomic<std::int64_t> done{0};
    const auto work = [&] {
        for (int repeat = 0; repeat < 50; ++repeat)
            mhdnn::for_each_piece(num_pieces, num_threads, [&](int, std::int64_t) {
                mhdnn::for_each_piece(num_pieces, num_threads, [&](int, std::int64_t) { ++done; });
            });
    };
    std::vector<std::thread> callers;
    for (int caller = 0; caller < num_callers; ++caller) callers.emplace_back(work);
    for (auto& caller : callers) caller.join();
    return done;
}
}
