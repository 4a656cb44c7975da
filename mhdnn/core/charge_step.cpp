#include "charge_step.h"

#include "electrostatics/vectors.h"

namespace mhdnn {
namespace {

std::vector<double> gathered(const Processes& processes, const std::vector<double>& local, int width) {
    std::vector<double> all(width * processes.num_atoms);
    processes.gather(local.data(), all.data(), width);
    return all;
}

}  // namespace

void follow_atoms(const Processes& processes, const std::vector<double>& tags, ChargeHistory& history) {
    history.follow(gathered(processes, tags, 1));
}

ChargeStep::ChargeStep(
    std::unique_ptr<Processes> processes, const Box& box, const std::vector<double>& positions,
    const std::vector<double>& widths, const std::vector<double>& hardness, const ChargeSettings& settings,
    ChargeMemory& memory)
    : processes_(std::move(processes)), total_charge_(settings.total_charge), box_(box), field_(settings.field),
      history_(memory.history), positions_(positions), external_(widths.size()) {
    for (std::size_t atom = 0; atom < external_.size(); ++atom)
        for (int axis = 0; axis < 3; ++axis) external_[atom] -= field_[axis] * positions_[3 * atom + axis];
    std::vector<double> rows, widths_all, hardness_all;
    for (std::size_t atom = 0; atom < widths.size(); ++atom)
        rows.insert(
            rows.end(),
            {positions[3 * atom], positions[3 * atom + 1], positions[3 * atom + 2], widths[atom], hardness[atom]});
    rows = gathered(*processes_, rows, 5);
    for (std::size_t row = 0; row < rows.size(); row += 5) {
        positions_all_.insert(positions_all_.end(), &rows[row], &rows[row] + 3);
        widths_all.push_back(rows[row + 3]);
        hardness_all.push_back(rows[row + 4]);
    }
    history_.predict(box, positions_all_);
    system_ = std::make_unique<ChargeSystem>(
        box, positions_all_, std::move(widths_all), std::move(hardness_all), settings.accuracy, settings.solver,
        memory.neighbors, *processes_);
}

std::vector<double> ChargeStep::equilibrate(
    const std::vector<double>& electronegativity, const std::vector<double>& start) {
    std::vector<double> start_all = history_.charges();
    if (start_all.empty()) start_all = given_by_all(start);
    std::vector<double> in_field = electronegativity;
    for (std::size_t atom = 0; atom < in_field.size(); ++atom) in_field[atom] += external_[atom];
    system_->equilibrate(in_field.data(), total_charge_, start_all.empty() ? nullptr : start_all.data());
    potential_ = system_->potential_local();
    return local(system_->charges());
}

// What all processes have, or nothing.
std::vector<double> ChargeStep::given_by_all(const std::vector<double>& local) const {
    double missing = local.empty() && processes_->num_local > 0 ? 1.0 : 0.0;
    processes_->sum(&missing, 1);
    return missing == 0.0 ? gathered(*processes_, local, 1) : std::vector<double>();
}

std::vector<double> ChargeStep::energies() const {
    std::vector<double> result = local(system_->charges());
    for (std::size_t atom = 0; atom < result.size(); ++atom) result[atom] *= 0.5 * potential_[atom] + external_[atom];
    return result;
}

std::vector<double> ChargeStep::respond(const std::vector<double>& short_range_gradient) {
    std::vector<double> gradient = potential_;
    for (std::size_t atom = 0; atom < gradient.size(); ++atom)
        gradient[atom] += external_[atom] + short_range_gradient[atom];
    const auto start = history_.adjoint();
    adjoint_ = system_->adjoint(gradient.data(), start.empty() ? nullptr : start.data());
    history_.add(positions_all_, system_->charges(), adjoint_);
    return local(adjoint_);
}

Derivatives ChargeStep::derivatives(bool per_atom) const {
    // d(q A q / 2) at fixed charges, and the response: adjoint times dA q
    std::vector<double> left = adjoint_;
    for (std::size_t atom = 0; atom < left.size(); ++atom) left[atom] += 0.5 * system_->charges()[atom];
    auto result = system_->derivatives(left, system_->charges(), per_atom);
    if (field_ != std::array<double, 3>{}) add_field(result);
    return result;
}

// -(q + adjoint) E.r. Under strain only the open directions count: periodic ones have no component of the field,
// and no origin.
void ChargeStep::add_field(Derivatives& derivatives) const {
    const auto charges = local(system_->charges()), adjoint = local(adjoint_);
    std::array<double, 6> strain{};
    for (std::size_t atom = 0; atom < charges.size(); ++atom) {
        const double weight = -(charges[atom] + adjoint[atom]), *const r = &positions_[3 * atom];
        for (int axis = 0; axis < 3; ++axis) derivatives.positions[3 * atom + axis] += weight * field_[axis];
        for (int c = 0; c < 6; ++c) {
            const int a = electrostatics::voigt_row[c], b = electrostatics::voigt_column[c];
            if (box_.periodic[a] || box_.periodic[b]) continue;
            const double part = 0.5 * weight * (field_[a] * r[b] + field_[b] * r[a]);
            strain[c] += part;
            if (!derivatives.strain_per_atom.empty()) derivatives.strain_per_atom[6 * atom + c] += part;
        }
    }
    processes_->sum(strain.data(), 6);
    for (int c = 0; c < 6; ++c) derivatives.strain[c] += strain[c];
}

std::vector<double> ChargeStep::local(const std::vector<double>& all) const {
    return {all.begin() + processes_->first, all.begin() + processes_->first + processes_->num_local};
}

}  // namespace mhdnn
