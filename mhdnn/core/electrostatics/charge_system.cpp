#include "charge_system.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "assembly.h"
#include "parameters.h"

namespace mhdnn {
namespace {

void check_positive(
    const std::string& name, const std::vector<double>& values, std::int64_t num_atoms, const std::string& unit) {
    const bool complete = static_cast<std::int64_t>(values.size()) == num_atoms;
    if (complete && std::all_of(values.begin(), values.end(), [](double x) { return x > 0.0 && std::isfinite(x); }))
        return;
    throw std::runtime_error(
        name + ": expected positive numbers in " + unit +
        ", one for each atom, got others; set a positive value for each element of the model");
}

void check_arguments(
    const std::vector<double>& positions, const std::vector<double>& widths, const std::vector<double>& hardness,
    double accuracy, const Processes& processes) {
    if (processes.num_atoms == 0) throw std::runtime_error("atoms: expected at least one atom, got none");
    if (static_cast<std::int64_t>(positions.size()) != 3 * processes.num_atoms ||
        !std::all_of(positions.begin(), positions.end(), [](double x) { return std::isfinite(x); }))
        throw std::runtime_error(
            "positions: expected finite numbers, got NaN or infinity; forces were too large: look for atoms that are "
            "too "
            "close, and for a time step that is too long");
    check_positive("widths", widths, processes.num_atoms, "Å");
    check_positive("hardness", hardness, processes.num_atoms, "eV/e²");
    if (!(accuracy > 1e-14 && accuracy < 1e-2))
        throw std::runtime_error("accuracy: expected a number between 1e-14 and 1e-2, got " + std::to_string(accuracy));
}

}  // namespace

void Processes::sum(double*, std::int64_t) const {}

void Processes::gather(const double* local, double* all, int width) const {
    std::copy_n(local, width * num_local, all);
}

void Processes::exchange(
    const double* sent, const std::vector<std::int64_t>& sent_counts, double* received,
    const std::vector<std::int64_t>&) const {
    std::copy_n(sent, sent_counts[0], received);
}

ChargeSystem::ChargeSystem(
    const Box& box, std::vector<double> positions, std::vector<double> widths, std::vector<double> hardness,
    double accuracy, SolverChoice choice, electrostatics::NeighborSearch& search, const Processes& processes)
    : processes_(processes) {
    check_arguments(positions, widths, hardness, accuracy, processes);
    auto assembly = electrostatics::assemble(box, positions, widths, accuracy, choice, 0.0, search, processes);
    solver_ = assembly.make_solver(hardness, electrostatics::tolerance_per_accuracy * accuracy);
    matrix_ = std::move(assembly.matrix);
}

ChargeSystem::~ChargeSystem() = default;

void ChargeSystem::equilibrate(const double* electronegativity, double total_charge, const double* start) {
    charges_ = solve("electronegativity", electronegativity, total_charge, start, 0.0);
    residual_of_charges_ = solver_->target();
    const std::vector<double>* const known = solver_->product();
    potential_ = local(known ? *known : matrix_->multiply(charges_));
}

std::vector<double> ChargeSystem::adjoint(const double* gradient, const double* start) {
    return solve("gradient", gradient, 0.0, start, residual_of_charges_);
}

std::vector<double> ChargeSystem::solve(
    const char* name, const double* values, double total, const double* start, double sufficient) {
    std::vector<double> right_side(processes_.num_atoms);
    processes_.gather(values, right_side.data(), 1);
    for (double& value : right_side) value = -value;
    const auto finite = [](double value) { return std::isfinite(value); };
    if (!std::isfinite(total) || !std::all_of(right_side.begin(), right_side.end(), finite))
        throw std::runtime_error(
            std::string(name) +
            ": expected finite numbers and a finite total charge, got NaN or infinity; the model "
            "may be far from what it was trained for");
    return solver_->solve(right_side, total, start, sufficient);
}

std::vector<double> ChargeSystem::local(const std::vector<double>& all) const {
    return {all.begin() + processes_.first, all.begin() + processes_.first + processes_.num_local};
}

Derivatives ChargeSystem::derivatives(const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const {
    return matrix_->derivatives(p, q, per_atom);
}

int ChargeSystem::iterations() const { return solver_->iterations(); }

}  // namespace mhdnn
