#include "threads.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace mhdnn {
namespace {

constexpr auto patience = std::chrono::microseconds(100);

inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Looks for a change as long as patience lasts; whether it has come.
template <class Condition>
bool look_for(const Condition& has_come) {
    constexpr int looks = 16;  // between looks at the clock
    const auto end = std::chrono::steady_clock::now() + patience;
    do
        for (int i = 0; i < looks; ++i) {
            if (has_come()) return true;
            pause();
        }
    while (std::chrono::steady_clock::now() < end);
    return has_come();
}

// What is to be done.
struct Job {
    std::int64_t num_pieces = 0;
    int num_threads = 1;
    RunPiece run = nullptr;
    const void* action = nullptr;
};

// Threads that help with one job at a time, until the process or the library ends.
class Helpers {
public:
    ~Helpers();
    // Whether the caller may use them: false within a job, or while another thread has one.
    bool take() { return !taken_.exchange(true, std::memory_order_acquire); }
    void give_back() { taken_.store(false, std::memory_order_release); }
    bool are_taken() const { return taken_.load(std::memory_order_acquire); }
    void share(const Job& job);

    const pid_t process = getpid();

private:
    // The state: number of the job, whether helpers may begin with it, and how many have.
    static constexpr std::uint64_t open = 1u << 16, helpers_at_work = open - 1, next_number = 2 * open;
    static bool differ(std::uint64_t state, std::uint64_t other) { return state / next_number != other / next_number; }

    void enlist(int num_helpers);
    void serve(int thread);
    void work(int thread);
    void leave();
    void wait_for_helpers();

    std::vector<std::thread> threads_;
    Job job_;
    std::exception_ptr error_;
    std::atomic<bool> taken_{false}, has_error_{false}, ended_{false}, caller_sleeps_{false};
    std::atomic<int> sleepers_{0};
    std::mutex mutex_;
    std::condition_variable has_job_, is_done_;
    alignas(64) std::atomic<std::uint64_t> state_{0};
    alignas(64) std::atomic<std::int64_t> next_piece_{0};
};

Helpers::~Helpers() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        ended_ = true;
    }
    has_job_.notify_all();
    for (auto& thread : threads_) thread.join();
}

// Fewer, if the system has no more threads to give.
void Helpers::enlist(int num_helpers) {
    try {
        while (static_cast<int>(threads_.size()) < num_helpers) {
            const int number = static_cast<int>(threads_.size()) + 1;
            threads_.emplace_back([this, number] { serve(number); });
        }
    } catch (const std::system_error&) {
    }
}

void Helpers::share(const Job& job) {
    enlist(job.num_threads - 1);
    job_ = job;
    next_piece_.store(0, std::memory_order_relaxed);
    const std::uint64_t number = (state_.load() / next_number + 1) * next_number;
    state_.store(number | open);
    if (sleepers_.load() > 0) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
        }  // one that is about to sleep has seen the job, or sleeps
        has_job_.notify_all();
    }
    work(0);
    state_.fetch_and(~open);
    wait_for_helpers();
    if (!has_error_) return;
    has_error_ = false;
    std::rethrow_exception(std::exchange(error_, nullptr));
}

void Helpers::serve(int thread) {
    std::uint64_t last = 0;
    for (;;) {
        std::uint64_t state = 0;
        const auto has_come = [&] {
            state = state_.load();
            return ((state & open) && differ(state, last)) || ended_;
        };
        if (!look_for(has_come)) {
            std::unique_lock<std::mutex> lock(mutex_);
            ++sleepers_;
            has_job_.wait(lock, has_come);
            --sleepers_;
        }
        if (ended_) return;
        while ((state & open) && differ(state, last)) {
            if (!state_.compare_exchange_weak(state, state + 1)) continue;
            last = state;
            if (thread < job_.num_threads) work(thread);
            leave();
        }
    }
}

void Helpers::work(int thread) {
    for (;;) {
        const std::int64_t piece = next_piece_.fetch_add(1, std::memory_order_relaxed);
        if (piece >= job_.num_pieces) return;
        try {
            job_.run(job_.action, thread, piece);
        } catch (...) {
            if (!has_error_.exchange(true)) error_ = std::current_exception();
            next_piece_.store(job_.num_pieces, std::memory_order_relaxed);
        }
    }
}

void Helpers::leave() {
    const std::uint64_t before = state_.fetch_sub(1);
    if ((before & (open | helpers_at_work)) != 1 || !caller_sleeps_) return;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
    }
    is_done_.notify_one();
}

void Helpers::wait_for_helpers() {
    const auto has_come = [this] { return (state_.load() & helpers_at_work) == 0; };
    if (look_for(has_come)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    caller_sleeps_ = true;
    is_done_.wait(lock, has_come);
    caller_sleeps_ = false;
}

// Those of this process: threads don't survive a fork, and what they were is left behind.
class Own {
public:
    ~Own() {
        Helpers* const last = helpers_.exchange(nullptr);
        if (last && last->process == getpid() && !last->are_taken()) delete last;
    }
    Helpers& helpers() {
        Helpers* known = helpers_.load();
        while (!known || known->process != getpid()) {
            auto* const made = new Helpers;
            if (helpers_.compare_exchange_strong(known, made)) return *made;
            delete made;  // another thread was faster
        }
        return *known;
    }

private:
    std::atomic<Helpers*> helpers_{nullptr};
} own;

std::atomic<int> chosen{0};

}  // namespace

void choose_threads(int count) { chosen = count; }

int chosen_threads() { return chosen; }

int most_threads() {
    if (chosen > 0) return chosen;
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    const char* const given = std::getenv("OMP_NUM_THREADS");
    return given ? std::max(1, std::atoi(given)) : 1;
#endif
}

void share_pieces(std::int64_t num_pieces, int num_threads, RunPiece run, const void* action) {
    num_threads = static_cast<int>(std::min<std::int64_t>(num_threads, num_pieces));
    if (num_threads > 1) {
        Helpers& helpers = own.helpers();
        if (helpers.take()) {
            struct GiveBack {
                Helpers& helpers;
                ~GiveBack() { helpers.give_back(); }
            } const after{helpers};
            return helpers.share({num_pieces, num_threads, run, action});
        }
    }
    for (std::int64_t piece = 0; piece < num_pieces; ++piece) run(action, 0, piece);
}

}  // namespace mhdnn
