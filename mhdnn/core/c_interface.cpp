#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <new>
#include <stdexcept>

#include "archive.h"
#include "charge_step.h"
#include "electrostatics/vectors.h"
#include "expected_errors.h"
#include "mhdnn.h"
#include "model.h"
#include "threads.h"
#include "weights.h"

struct mhdnn_model {
    std::unique_ptr<mhdnn::Model> model;
    std::map<int, int> element_of_number;
    mhdnn::Pairs pairs;
    mhdnn::ChargeMemory memory;
    std::vector<double> charges;  // of the last calculation
};

namespace mhdnn {
namespace {

thread_local std::string last_error;

constexpr int largest_num_threads = 1024;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

using electrostatics::voigt_column, electrostatics::voigt_row;

// A result that is no number, which has a code of its own.
struct NotFinite : std::runtime_error {
    explicit NotFinite(const std::string& what)
        : std::runtime_error(what + " is not a number; look for atoms at the same place") {}
};

// values: so many of each atom.
void check_finite(const std::string& what, const std::vector<double>& values, int per_atom = 1) {
    for (std::size_t i = 0; i < values.size(); ++i)
        if (!std::isfinite(values[i])) throw NotFinite(what + " atom " + std::to_string(i / per_atom));
}

// Atoms of the model, and whether they are others than before.
bool set_atoms(mhdnn_model& self, const mhdnn_atoms& atoms) {
    if (atoms.num_atoms < 0 || atoms.num_atoms > std::numeric_limits<int>::max() || atoms.num_pairs < 0)
        throw std::runtime_error(
            "expected 0 to " + std::to_string(std::numeric_limits<int>::max()) + " atoms and their pairs, got " +
            std::to_string(atoms.num_atoms) + " and " + std::to_string(atoms.num_pairs));
    if (atoms.num_atoms > 0 && !atoms.atomic_numbers) throw std::runtime_error("expected atomic numbers, got NULL");
    std::vector<int> element;
    for (std::int64_t i = 0; i < atoms.num_atoms; ++i) {
        const auto found = self.element_of_number.find(atoms.atomic_numbers[i]);
        if (found == self.element_of_number.end())
            throw std::runtime_error(
                "atom " + std::to_string(i) + " has the atomic number " + std::to_string(atoms.atomic_numbers[i]) +
                ", which the model was not trained for");
        element.push_back(found->second);
    }
    self.pairs.num_centers = atoms.num_atoms;
    self.pairs.element.swap(element);
    return self.pairs.element != element;
}

// From centre to neighbour, Å.
std::array<double, 3> vector_of(const mhdnn_atoms& atoms, std::int64_t pair) {
    const double* const given = (atoms.vectors ? atoms.vectors : atoms.shifts) + 3 * pair;
    if (atoms.vectors) return {given[0], given[1], given[2]};
    const double* const from = atoms.positions + 3 * atoms.pairs[2 * pair];
    const double* const to = atoms.positions + 3 * atoms.pairs[2 * pair + 1];
    return {to[0] - from[0] + given[0], to[1] - from[1] + given[1], to[2] - from[2] + given[2]};
}

// Given pairs by their centres: where those of each begin, and their numbers in this order, unless they stand in it.
struct GivenPairs {
    std::vector<std::int64_t> first, order;

    std::int64_t number(std::int64_t place) const { return order.empty() ? place : order[place]; }
};

GivenPairs by_centers(const mhdnn_atoms& atoms) {
    if (atoms.num_pairs > 0 && !atoms.pairs) throw std::runtime_error("expected pairs, got NULL");
    if (atoms.num_pairs > 0 && !atoms.vectors && !(atoms.positions && atoms.shifts))
        throw std::runtime_error("expected vectors of the pairs, or positions and shifts, got NULL");
    GivenPairs result;
    result.first.assign(atoms.num_atoms + 1, 0);
    bool in_order = true;
    for (std::int64_t pair = 0; pair < atoms.num_pairs; ++pair) {
        for (const std::int64_t atom : {atoms.pairs[2 * pair], atoms.pairs[2 * pair + 1]})
            if (atom < 0 || atom >= atoms.num_atoms)
                throw std::runtime_error(
                    "pair " + std::to_string(pair) + ": expected atoms 0 to " + std::to_string(atoms.num_atoms - 1) +
                    ", got " + std::to_string(atom));
        ++result.first[atoms.pairs[2 * pair] + 1];
        in_order = in_order && (pair == 0 || atoms.pairs[2 * pair - 2] <= atoms.pairs[2 * pair]);
    }
    for (std::int64_t i = 0; i < atoms.num_atoms; ++i) result.first[i + 1] += result.first[i];
    if (in_order) return result;
    std::vector<std::int64_t> next(result.first.begin(), result.first.end() - 1);
    result.order.resize(atoms.num_pairs);
    for (std::int64_t pair = 0; pair < atoms.num_pairs; ++pair) result.order[next[atoms.pairs[2 * pair]]++] = pair;
    return result;
}

// Pairs within the cutoff, in the order of their centres.
void set_pairs(mhdnn_model& self, const mhdnn_atoms& atoms) {
    constexpr std::int64_t least_centers = 64;  // that are worth a thread's while
    const GivenPairs given = by_centers(atoms);
    const double cutoff = self.model->metadata().cutoff;
    Pairs& pairs = self.pairs;
    // action(pair, vector) for those of a centre
    const auto for_each_near = [&](std::int64_t center, const auto& action) {
        for (std::int64_t place = given.first[center]; place < given.first[center + 1]; ++place) {
            const std::int64_t pair = given.number(place);
            const auto vector = vector_of(atoms, pair);
            const double square = squared_length(vector.data());
            if (square < cutoff * cutoff)
                action(pair, vector);
            else if (!std::isfinite(square))
                throw std::runtime_error("pair " + std::to_string(pair) + ": its vector is not a number");
        }
    };
    pairs.first.assign(atoms.num_atoms + 1, 0);
    for_each_of(atoms.num_atoms, least_centers, [&](std::int64_t center) {
        std::int64_t count = 0;
        for_each_near(center, [&](std::int64_t, const std::array<double, 3>&) { ++count; });
        pairs.first[center + 1] = count;
    });
    for (std::int64_t i = 0; i < atoms.num_atoms; ++i) pairs.first[i + 1] += pairs.first[i];
    pairs.neighbor.resize(pairs.first.back());
    pairs.vectors.resize(3 * pairs.first.back());
    for_each_of(atoms.num_atoms, least_centers, [&](std::int64_t center) {
        std::int64_t place = pairs.first[center];
        for_each_near(center, [&](std::int64_t pair, const std::array<double, 3>& vector) {
            pairs.neighbor[place] = static_cast<int>(atoms.pairs[2 * pair + 1]);
            std::copy_n(vector.data(), 3, &pairs.vectors[3 * place++]);
        });
    });
}

std::unique_ptr<ChargeStep> charge_step(mhdnn_model& self, const mhdnn_atoms& atoms) {
    const Model& model = *self.model;
    if (!atoms.positions || !atoms.cell || !atoms.periodic)
        throw std::runtime_error("the model has charges: expected positions, cell and periodic, got NULL");
    if (atoms.solver < 0 || atoms.solver > 2)
        throw std::runtime_error("solver: expected 0, 1 or 2, got " + std::to_string(atoms.solver));
    Box box{};
    for (int a = 0; a < 3; ++a) {
        box.periodic[a] = atoms.periodic[a] != 0;
        std::copy_n(atoms.cell + 3 * a, 3, box.vectors[a]);
    }
    std::vector<double> widths, hardness;
    for (const int element : self.pairs.element) {
        widths.push_back(model.widths()[element]);
        hardness.push_back(model.hardness()[element]);
    }
    const auto solver = static_cast<SolverChoice>(atoms.solver);
    const ChargeSettings settings{model.metadata().accuracy, atoms.total_charge, solver, {}};
    return std::make_unique<ChargeStep>(
        std::make_unique<Processes>(atoms.num_atoms), box,
        std::vector<double>(atoms.positions, atoms.positions + 3 * atoms.num_atoms), widths, hardness, settings,
        self.memory);
}

// Forces, and the derivative by strain.
struct Derivative {
    std::vector<double> forces;
    std::array<double, 6> strain;
};

Derivative derivative(Model& model, const Pairs& pairs, const std::vector<double>& response) {
    Derivative result{std::vector<double>(3 * pairs.num_centers, 0.0), {}};
    ForceSums sums;
    sums.forces = result.forces.data();
    sums.with_virial = true;
    model.add_forces(response, sums);
    for (int c = 0; c < 6; ++c)
        result.strain[c] =
            0.5 * (sums.virial[3 * voigt_row[c] + voigt_column[c]] + sums.virial[3 * voigt_column[c] + voigt_row[c]]);
    return result;
}

Derivative evaluate_charges(mhdnn_model& self, const mhdnn_atoms& atoms, std::vector<double>& energies) {
    Model& model = *self.model;
    const auto electronegativity = model.electronegativity();
    check_finite("the electronegativity of", electronegativity);
    const auto step = charge_step(self, atoms);
    self.charges = step->equilibrate(electronegativity, {});
    check_finite("the charge of", self.charges);
    model.mark_outside(self.charges);
    energies = model.energies(self.charges);
    check_finite("the energy of", energies);
    const auto response = step->respond(model.gradient_by_charge());
    Derivative result = derivative(model, self.pairs, response);
    const auto electrostatic = step->energies();
    const Derivatives more = step->derivatives(false);
    for (std::int64_t i = 0; i < atoms.num_atoms; ++i) {
        energies[i] += electrostatic[i];
        for (int axis = 0; axis < 3; ++axis) result.forces[3 * i + axis] -= more.positions[3 * i + axis];
    }
    for (int c = 0; c < 6; ++c) result.strain[c] += more.strain[c];
    return result;
}

void store_force_errors(
    const mhdnn_model& self, const std::vector<double>& forces, const std::vector<char>& outside, double* errors) {
    const Model& model = *self.model;
    const ErrorModel& known = model.error_model();
    const std::int64_t count = self.pairs.num_centers;
    std::fill(errors, errors + count, 0.0);
    if (known.offset.empty()) return;
    const auto grades = model.grades();
    std::vector<double> sizes(num_sizes * count);
    for (std::int64_t i = 0; i < count; ++i) store_sizes(known, &grades[2 * i], &forces[3 * i], &sizes[num_sizes * i]);
    const auto found = expected_errors(known, self.pairs, model.metadata().cutoff, sizes, outside);
    std::copy(found.begin(), found.end(), errors);
}

void store(
    const mhdnn_model& self, const std::vector<double>& energies, const Derivative& found, mhdnn_result& result) {
    Model& model = *self.model;
    std::copy(found.strain.begin(), found.strain.end(), result.virial);
    if (result.energies) std::copy(energies.begin(), energies.end(), result.energies);
    if (result.forces) std::copy(found.forces.begin(), found.forces.end(), result.forces);
    if (result.charges) std::copy(self.charges.begin(), self.charges.end(), result.charges);
    const std::vector<char> marks = result.outside ? model.mark_outside() : std::vector<char>();
    if (result.outside) std::copy(marks.begin(), marks.end(), result.outside);
    if (result.force_errors) store_force_errors(self, found.forces, marks, result.force_errors);
    if (!result.function_sums) return;
    const auto sums = model.function_sums();
    std::copy(sums.begin(), sums.end(), result.function_sums);
}

int compute(mhdnn_model& self, const mhdnn_atoms& atoms, mhdnn_result& result) {
    if (set_atoms(self, atoms)) self.memory.history.forget();
    set_pairs(self, atoms);
    Model& model = *self.model;
    model.set_pairs(
        self.pairs, {result.outside != nullptr, result.force_errors != nullptr, result.function_sums != nullptr});
    std::vector<double> energies;
    Derivative found;
    self.charges.clear();
    result.energy = not_a_number;  // until it is known
    if (model.metadata().charges) {
        found = evaluate_charges(self, atoms, energies);
    } else {
        energies = model.energies({});
        found = derivative(model, self.pairs, {});
    }
    result.energy = 0.0;
    for (const double energy : energies) result.energy += energy;
    store(self, energies, found, result);
    if (!std::isfinite(result.energy)) throw NotFinite("the energy");
    check_finite("the force on", found.forces, 3);
    for (const double strain : found.strain)
        if (!std::isfinite(strain)) throw NotFinite("the virial");
    return 0;
}

// Nothing may leave C++ by an exception.
template <class Action>
int guarded(Action action) {
    try {
        return action();
    } catch (const NotFinite& problem) {
        last_error = problem.what();
        return MHDNN_NOT_FINITE;
    } catch (const std::bad_alloc&) {
        last_error = "not enough memory; look for a cell or a number of pairs that is too large";
        return MHDNN_FAILED;
    } catch (const std::exception& problem) {
        last_error = problem.what();
        return MHDNN_FAILED;
    }
}

// What a function gives of a model, or zero without one.
template <class Get>
auto of_model(const mhdnn_model* model, Get get) -> decltype(get(*model->model)) {
    if (model) return get(*model->model);
    last_error = "expected a model, got NULL";
    return {};
}

mhdnn_model* opened(const std::string& content, const std::string& path, const char* dtype) {
    auto result = std::make_unique<mhdnn_model>();
    result->model = open_plain_model(content, path, dtype);
    int element = 0;
    for (const int number : result->model->metadata().atomic_numbers) result->element_of_number[number] = element++;
    return result.release();
}

// After a failure: nothing is known of these atoms.
void forget(mhdnn_model& self) {
    self.pairs = {};
    self.charges.clear();
    self.memory.history.forget();
}

}  // namespace
}  // namespace mhdnn

extern "C" {

mhdnn_model* mhdnn_open(const char* path, const char* dtype) {
    mhdnn_model* result = nullptr;
    mhdnn::guarded([&] {
        if (!path || !dtype) throw std::runtime_error("expected a path and a dtype, got NULL");
        result = mhdnn::opened(mhdnn::read_file(path), path, dtype);
        return 0;
    });
    return result;
}

mhdnn_model* mhdnn_open_content(const char* content, int64_t size, const char* path, const char* dtype) {
    mhdnn_model* result = nullptr;
    mhdnn::guarded([&] {
        if (!content || !path || !dtype) throw std::runtime_error("expected content, a path and a dtype, got NULL");
        if (size < 0) throw std::runtime_error("size: expected at least 0 bytes, got " + std::to_string(size));
        result = mhdnn::opened(std::string(content, size), path, dtype);
        return 0;
    });
    return result;
}

void mhdnn_close(mhdnn_model* model) { delete model; }

double mhdnn_cutoff(const mhdnn_model* model) {
    return mhdnn::of_model(model, [](const mhdnn::Model& of) { return of.metadata().cutoff; });
}

int mhdnn_has_charges(const mhdnn_model* model) {
    return mhdnn::of_model(model, [](const mhdnn::Model& of) { return of.metadata().charges ? 1 : 0; });
}

int mhdnn_num_functions(const mhdnn_model* model) {
    return mhdnn::of_model(model, [](const mhdnn::Model& of) { return of.num_functions(); });
}

int mhdnn_compute(mhdnn_model* model, const mhdnn_atoms* atoms, mhdnn_result* result) {
    const int code = mhdnn::guarded([&] {
        if (!model || !atoms || !result) throw std::runtime_error("expected a model, atoms and a result, got NULL");
        return mhdnn::compute(*model, *atoms, *result);
    });
    if (code && model) mhdnn::forget(*model);
    return code;
}

const char* mhdnn_why_outside(mhdnn_model* model, int64_t atom) {
    mhdnn::guarded([&] {
        if (!model) throw std::runtime_error("expected a model, got NULL");
        if (atom < 0 || atom >= model->pairs.num_centers)
            throw std::runtime_error("no such atom in the last calculation, or it failed");
        mhdnn::last_error = model->model->why_outside(atom, model->charges);
        return 0;
    });
    return mhdnn::last_error.c_str();
}

void mhdnn_set_num_threads(int count) {
    mhdnn::choose_threads(std::max(0, std::min(count, mhdnn::largest_num_threads)));
}

const char* mhdnn_last_error(void) { return mhdnn::last_error.c_str(); }
}
