// Work shared by threads of our own.
//
// OpenMP's threads wait for each other in a loop, for up to 20 ms. Where other programs are busy, they take these cores
// from the very threads that they wait for. Here the caller does all pieces that nobody has begun, and waits for nobody
// who has none; whoever waits looks for a change for a tenth of a millisecond, then sleeps.
#pragma once

#include <algorithm>
#include <cstdint>

namespace mhdnn {

// How many threads work shall take; 0: as many as OpenMP would, by OMP_NUM_THREADS or what the program has set.
void choose_threads(int count);
int chosen_threads();
int most_threads();

// run(action, thread, piece) for all pieces.
using RunPiece = void (*)(const void* action, int thread, std::int64_t piece);
void share_pieces(std::int64_t num_pieces, int num_threads, RunPiece run, const void* action);

// action(thread, piece) for the pieces 0 ... num_pieces - 1, in any order, by the threads 0 ... num_threads - 1, or
// fewer; by the caller alone within another such call. The first exception is thrown again when all have stopped.
template <class Action>
void for_each_piece(std::int64_t num_pieces, int num_threads, const Action& action) {
    share_pieces(
        num_pieces, num_threads,
        [](const void* given, int thread, std::int64_t piece) { (*static_cast<const Action*>(given))(thread, piece); },
        &action);
}

// action(first, last) for ranges that cover 0 ... count - 1, none shorter than `least` unless it is the only one.
template <class Action>
void for_ranges(std::int64_t count, std::int64_t least, int num_threads, const Action& action) {
    constexpr std::int64_t ranges_of_a_thread = 8;  // so that a thread that began late, or was interrupted, does fewer
    const std::int64_t most = num_threads > 1 ? ranges_of_a_thread * num_threads : 1;
    const std::int64_t num_ranges = std::max<std::int64_t>(1, std::min(most, count / least));
    for_each_piece(num_ranges, num_threads, [&](int, std::int64_t range) {
        action(count * range / num_ranges, count * (range + 1) / num_ranges);
    });
}

// action(i) for i = 0 ... count - 1; `least` of them are worth a thread's while.
template <class Action>
void for_each_of(std::int64_t count, std::int64_t least, const Action& action) {
    for_ranges(count, least, most_threads(), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) action(i);
    });
}

}  // namespace mhdnn
