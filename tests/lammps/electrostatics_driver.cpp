// The C++ charge equilibration behind functions that ctypes can call; processes are threads here.

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "electrostatics/charge_system.h"
#include "electrostatics/gaussians.h"
#include "electrostatics/neighbors.h"
#include "electrostatics/pair_functions.h"
#include "electrostatics/parameters.h"
#include "electrostatics/splines.h"

namespace {

// What threads exchange. Sums are made in the order of the threads, so that all get the same.
class Exchange {
public:
    explicit Exchange(int size) : parts_(size) {}

    // Every thread's values; they stay until the next call of all threads.
    std::vector<std::vector<double>> all_of(int rank, std::vector<double> values) {
        parts_[rank] = std::move(values);
        wait();
        auto result = parts_;
        wait();
        return result;
    }

private:
    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        const int turn = turn_;
        if (++waiting_ == static_cast<int>(parts_.size())) {
            waiting_ = 0;
            ++turn_;
            changed_.notify_all();
        } else {
            changed_.wait(lock, [&] { return turn_ != turn; });
        }
    }

    std::vector<std::vector<double>> parts_;
    std::mutex mutex_;
    std::condition_variable changed_;
    int waiting_ = 0, turn_ = 0;
};

class Threads : public mhdnn::Processes {
public:
    Threads(Exchange& exchange, int own_rank, int num_threads, std::int64_t atoms) : exchange_(exchange) {
        rank = own_rank;
        size = num_threads;
        // not the same number for all, and none for the last of several
        const std::int64_t parts = size > 1 ? size * (size - 1) / 2 : 1;
        const auto start_of = [&](int process) {
            return size > 1 ? atoms * (process * (size - 1) - process * (process - 1) / 2) / parts : process * atoms;
        };
        num_atoms = atoms;
        first = start_of(rank);
        num_local = start_of(rank + 1) - first;
    }

    void sum(double* values, std::int64_t count) const override {
        ++exchanges;
        const auto parts = exchange_.all_of(rank, {values, values + count});
        std::fill_n(values, count, 0.0);
        for (const auto& part : parts)
            for (std::int64_t place = 0; place < count; ++place) values[place] += part[place];
    }

    void gather(const double* local, double* all, int width) const override {
        ++exchanges;
        for (const auto& part : exchange_.all_of(rank, {local, local + width * num_local}))
            all = std::copy(part.begin(), part.end(), all);
    }

    void exchange(
        const double* sent, const std::vector<std::int64_t>& sent_counts, double* received,
        const std::vector<std::int64_t>& received_counts) const override {
        ++exchanges;
        const std::int64_t total = std::accumulate(sent_counts.begin(), sent_counts.end(), std::int64_t(0));
        std::vector<double> counts(sent_counts.begin(), sent_counts.end());
        const auto all_counts = exchange_.all_of(rank, counts);
        const auto parts = exchange_.all_of(rank, {sent, sent + total});
        for (int process = 0; process < size; ++process) {
            const auto& row = all_counts[process];
            if (row[rank] != static_cast<double>(received_counts[process])) throw std::logic_error("counts differ");
            const auto start = static_cast<std::int64_t>(std::accumulate(row.begin(), row.begin() + rank, 0.0));
            received = std::copy_n(parts[process].begin() + start, received_counts[process], received);
        }
    }

    mutable int exchanges = 0;

private:
    Exchange& exchange_;
};

}  // namespace

extern "C" {

struct Input {
    double cell[9];
    int periodic[3];
    std::int64_t num_atoms;
    const double *positions, *widths, *hardness, *electronegativity, *gradient, *start, *p, *q;
    const double *earlier_positions, *earlier_widths, *earlier_cell;  // of a step before, or null
    double total_charge, accuracy;
    int solver, num_processes;
};

struct Output {
    double *charges, *potential, *adjoint, *derivatives, *strain, *strain_per_atom;
    int iterations[2], exchanges[2];  // of charges and adjoint charges
};

}  // extern "C"

namespace {

constexpr double margin = 1.0;  // of what is remembered of a step before, Å

// counts: of iterations and exchanges.
void run(const Input& in, const Output& out, int* counts, const Threads& processes) {
    const auto all = [&](const double* values, int width) {
        return std::vector<double>(values, values + width * in.num_atoms);
    };
    mhdnn::electrostatics::NeighborSearch search(in.earlier_positions ? margin : 0.0);
    const auto system_of = [&](const double* cell, const double* positions, const double* widths) {
        mhdnn::Box box;
        for (int axis = 0; axis < 3; ++axis) {
            std::copy_n(cell + 3 * axis, 3, box.vectors[axis]);
            box.periodic[axis] = in.periodic[axis] != 0;
        }
        return std::make_unique<mhdnn::ChargeSystem>(
            box, all(positions, 3), all(widths, 1), all(in.hardness, 1), in.accuracy,
            static_cast<mhdnn::SolverChoice>(in.solver), search, processes);
    };
    if (in.earlier_positions) system_of(in.earlier_cell, in.earlier_positions, in.earlier_widths);
    const auto made = system_of(in.cell, in.positions, in.widths);
    mhdnn::ChargeSystem& system = *made;
    const int before = processes.exchanges;
    system.equilibrate(in.electronegativity + processes.first, in.total_charge, in.start);
    counts[2] = processes.exchanges - before;
    const auto& charges = system.charges();
    const auto potential = system.potential_local();
    counts[0] = system.iterations();
    const auto adjoint = system.adjoint(in.gradient + processes.first);
    counts[1] = system.iterations();
    counts[3] = processes.exchanges - before - counts[2];
    const auto result = system.derivatives(all(in.p, 1), all(in.q, 1), true);
    const auto plain = system.derivatives(all(in.p, 1), all(in.q, 1), false);
    if (!plain.strain_per_atom.empty() || plain.positions != result.positions || plain.strain != result.strain)
        throw std::logic_error("derivatives depend on `per_atom`");
    // own rows of what all have; replicated numbers must be the same on all processes
    const auto own = [&](const std::vector<double>& values) { return values.begin() + processes.first; };
    std::copy_n(own(charges), processes.num_local, out.charges + processes.first);
    std::copy_n(own(adjoint), processes.num_local, out.adjoint + processes.first);
    std::copy(potential.begin(), potential.end(), out.potential + processes.first);
    std::copy(result.positions.begin(), result.positions.end(), out.derivatives + 3 * processes.first);
    std::copy(result.strain_per_atom.begin(), result.strain_per_atom.end(), out.strain_per_atom + 6 * processes.first);
    if (processes.first == 0 && processes.num_local > 0)
        std::copy(result.strain.begin(), result.strain.end(), out.strain);
}

}  // namespace

extern "C" {

// The number of threads that threw; the message of the first is in `error`.
int solve(const Input* in, Output* out, char* error, int error_size) {
    Exchange exchange(in->num_processes);
    std::vector<std::string> errors(in->num_processes);
    std::vector<std::vector<int>> counts(in->num_processes, std::vector<int>(4));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < in->num_processes; ++rank)
        threads.emplace_back([&, rank] {
            try {
                const Threads processes(exchange, rank, in->num_processes, in->num_atoms);
                run(*in, *out, counts[rank].data(), processes);
            } catch (const std::exception& problem) {
                errors[rank] = problem.what();
            }
        });
    for (auto& thread : threads) thread.join();
    std::copy_n(counts[0].begin(), 2, out->iterations);
    std::copy_n(counts[0].begin() + 2, 2, out->exchanges);
    std::snprintf(error, error_size, "%s", errors[0].c_str());
    return static_cast<int>(
        std::count_if(errors.begin(), errors.end(), [](const auto& text) { return !text.empty(); }));
}

std::int64_t good_size(double least) { return mhdnn::electrostatics::good_size(least); }

// Largest deviations of interpolated values and slopes, in units of the self interaction of the narrowest atom and of
// that over its squared width, of pairs up to a distance.
void interpolation_errors(double first, double second, double smearing, double distance, double* result) {
    using namespace mhdnn::electrostatics;
    constexpr int count = 20001;
    const std::vector<double> widths = {first, second};
    std::vector<double> squared, values(count), slopes(count), expected(count), expected_slopes(count);
    for (int i = 0; i < count; ++i) squared.push_back(distance * distance * i / (count - 1) * i / (count - 1));
    std::vector<std::int32_t> place(count);
    for (int i = 0; i < count; ++i) place[i] = i;
    const PairFunctions functions(widths, smearing, squared.back());
    const double narrowest = std::min(first, second), unit = coulomb_constant / narrowest;
    result[0] = result[1] = 0.0;
    for (int own = 0; own < 2; ++own)
        for (int other = 0; other < 2; ++other) {
            const std::vector<std::int32_t> kinds(count, other);
            functions.evaluate(own, count, place.data(), kinds.data(), squared.data(), values.data(), slopes.data());
            const std::vector<double> gamma(count, width_of_pair(widths[own], widths[other]));
            pair_values(count, squared.data(), gamma.data(), smearing, expected.data(), expected_slopes.data());
            for (int i = 0; i < count; ++i) {
                result[0] = std::max(result[0], std::abs(values[i] - expected[i]) / unit);
                result[1] =
                    std::max(result[1], std::abs(slopes[i] - expected_slopes[i]) / unit * narrowest * narrowest);
            }
        }
}

// Row after row.
void spline_coefficients(double order, double* result) {
    const auto found = mhdnn::electrostatics::spline_coefficients(static_cast<int>(order));
    std::copy(found.begin(), found.end(), result);
}

void influence_factor(double size, double order, double* result) {
    const auto found =
        mhdnn::electrostatics::influence_factor(static_cast<std::int64_t>(size), static_cast<int>(order));
    std::copy(found.begin(), found.end(), result);
}

}  // extern "C"
