#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>

#include "charge_step.h"
#include "expected_errors.h"
#include "mhdnn.h"
#include "model.h"
#include "weights.h"

struct mhdnn_model {
    std::unique_ptr<mhdnn::Model> model;
    std::map<int, int> element_of_number;
    mhdnn::Pairs pairs;
    mhdnn::ChargeMemory memory;
};

namespace mhdnn {
namespace {

thread_local std::string last_error;

constexpr int voigt_row[6] = {0, 1, 2, 1, 0, 0}, voigt_column[6] = {0, 1, 2, 2, 2, 1};

// Whether a pair counts; what is wrong with it is thrown.
bool is_within(const mhdnn_atoms& atoms, std::int64_t pair, double cutoff) {
    for (int side = 0; side < 2; ++side)
        if (atoms.pairs[2 * pair + side] < 0 || atoms.pairs[2 * pair + side] >= atoms.num_atoms)
            throw std::runtime_error(
                "pair " + std::to_string(pair) + ": expected atoms 0 to " + std::to_string(atoms.num_atoms - 1) +
                ", got " + std::to_string(atoms.pairs[2 * pair + side]));
    const double square = squared_length(atoms.vectors + 3 * pair);
    if (!std::isfinite(square))
        throw std::runtime_error("pair " + std::to_string(pair) + ": its vector is not a number");
    return square < cutoff * cutoff;
}

// Pairs in the order of their centres.
void set_pairs(mhdnn_model& self, const mhdnn_atoms& atoms) {
    if (atoms.num_atoms < 0 || atoms.num_atoms > std::numeric_limits<int>::max() || atoms.num_pairs < 0)
        throw std::runtime_error(
            "expected 0 to " + std::to_string(std::numeric_limits<int>::max()) + " atoms and their pairs, got " +
            std::to_string(atoms.num_atoms) + " and " + std::to_string(atoms.num_pairs));
    const double cutoff = self.model->metadata().cutoff;
    Pairs& pairs = self.pairs;
    const std::vector<int> before = pairs.element;
    pairs.num_centers = atoms.num_atoms;
    pairs.element.clear();
    for (std::int64_t i = 0; i < atoms.num_atoms; ++i) {
        const auto found = self.element_of_number.find(atoms.atomic_numbers[i]);
        if (found == self.element_of_number.end())
            throw std::runtime_error(
                "atom " + std::to_string(i) + " has the atomic number " + std::to_string(atoms.atomic_numbers[i]) +
                ", which the model was not trained for");
        pairs.element.push_back(found->second);
    }
    if (pairs.element != before) self.memory.history.forget();  // other atoms
    pairs.first.assign(atoms.num_atoms + 1, 0);
    for (std::int64_t pair = 0; pair < atoms.num_pairs; ++pair)
        if (is_within(atoms, pair, cutoff)) ++pairs.first[atoms.pairs[2 * pair] + 1];
    for (std::int64_t i = 0; i < atoms.num_atoms; ++i) pairs.first[i + 1] += pairs.first[i];
    pairs.neighbor.resize(pairs.first.back());
    pairs.vectors.resize(3 * pairs.first.back());
    std::vector<std::int64_t> next(pairs.first.begin(), pairs.first.end() - 1);
    for (std::int64_t pair = 0; pair < atoms.num_pairs; ++pair) {
        if (!is_within(atoms, pair, cutoff)) continue;
        const std::int64_t place = next[atoms.pairs[2 * pair]]++;
        pairs.neighbor[place] = static_cast<int>(atoms.pairs[2 * pair + 1]);
        std::copy_n(atoms.vectors + 3 * pair, 3, &pairs.vectors[3 * place]);
    }
}

std::unique_ptr<ChargeStep> charge_step(mhdnn_model& self, const mhdnn_atoms& atoms) {
    const Model& model = *self.model;
    if (!atoms.positions || !atoms.cell || !atoms.periodic)
        throw std::runtime_error("the model has charges: expected positions, cell and periodic, got NULL");
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
    const ChargeSettings settings{model.metadata().accuracy, atoms.total_charge, SolverChoice::automatic, {}};
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

Derivative evaluate_charges(
    mhdnn_model& self, const mhdnn_atoms& atoms, std::vector<double>& energies, std::vector<double>& charges) {
    Model& model = *self.model;
    const auto step = charge_step(self, atoms);
    charges = step->equilibrate(model.electronegativity(), {});
    model.mark_outside(charges);
    energies = model.energies(charges);
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
    std::vector<double> logarithms(2 * count);
    for (std::int64_t i = 0; i < count; ++i) {
        logarithms[2 * i] = std::log(grades[2 * i]);
        logarithms[2 * i + 1] = std::log(std::sqrt(squared_length(&forces[3 * i])) + known.force_floor);
    }
    const auto found = expected_errors(known, self.pairs, model.metadata().cutoff, logarithms, grades, outside);
    std::copy(found.begin(), found.end(), errors);
}

void compute(mhdnn_model& self, const mhdnn_atoms& atoms, mhdnn_result& result) {
    set_pairs(self, atoms);
    Model& model = *self.model;
    model.set_pairs(self.pairs, {result.outside || result.force_errors, result.force_errors != nullptr});
    std::vector<double> energies, charges;
    Derivative found;
    if (model.metadata().charges) {
        found = evaluate_charges(self, atoms, energies, charges);
    } else {
        energies = model.energies({});
        found = derivative(model, self.pairs, {});
    }
    result.energy = 0.0;
    for (const double energy : energies) result.energy += energy;
    if (!std::isfinite(result.energy))
        throw std::runtime_error("the energy is not a number; look for atoms at the same place");
    std::copy(found.strain.begin(), found.strain.end(), result.virial);
    if (result.energies) std::copy(energies.begin(), energies.end(), result.energies);
    if (result.forces) std::copy(found.forces.begin(), found.forces.end(), result.forces);
    if (result.charges) std::copy(charges.begin(), charges.end(), result.charges);
    const std::vector<char>& outside = model.mark_outside();
    if (result.outside) std::copy(outside.begin(), outside.end(), result.outside);
    if (result.force_errors) store_force_errors(self, found.forces, outside, result.force_errors);
}

// Nothing may leave C++ by an exception.
template <class Action>
int guarded(Action action) {
    try {
        action();
        return 0;
    } catch (const std::exception& problem) {
        last_error = problem.what();
        return 1;
    }
}

}  // namespace
}  // namespace mhdnn

extern "C" {

mhdnn_model* mhdnn_open(const char* path, const char* dtype) {
    mhdnn_model* result = nullptr;
    mhdnn::guarded([&] {
        if (!path || !dtype) throw std::runtime_error("expected a path and a dtype, got NULL");
        auto opened = std::make_unique<mhdnn_model>();
        opened->model = mhdnn::open_plain_model(path, dtype);
        int element = 0;
        for (const int number : opened->model->metadata().atomic_numbers) opened->element_of_number[number] = element++;
        result = opened.release();
    });
    return result;
}

void mhdnn_close(mhdnn_model* model) { delete model; }

double mhdnn_cutoff(const mhdnn_model* model) { return model->model->metadata().cutoff; }

int mhdnn_has_charges(const mhdnn_model* model) { return model->model->metadata().charges ? 1 : 0; }

int mhdnn_compute(mhdnn_model* model, const mhdnn_atoms* atoms, mhdnn_result* result) {
    return mhdnn::guarded([&] { mhdnn::compute(*model, *atoms, *result); });
}

const char* mhdnn_last_error(void) { return mhdnn::last_error.c_str(); }
}
