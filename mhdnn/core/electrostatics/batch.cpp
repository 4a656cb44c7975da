#include "batch.h"

#include <algorithm>
#include <numeric>

#include "motion.h"

namespace mhdnn::electrostatics {

Batch::Batch(const std::vector<std::int64_t>& counts) {
    for (const auto count : counts) add(count, std::make_shared<Built>(count));
}

Batch::Batch(const std::vector<std::pair<const Batch*, std::int64_t>>& chosen) {
    for (const auto& [batch, number] : chosen) {
        const Structure& structure = batch->structures_.at(number);
        add(structure.count, structure.built);
    }
}

void Batch::add(std::int64_t count, std::shared_ptr<Built> built) {
    structures_.push_back({num_atoms_, count, std::move(built), nullptr, {{}, {}}});
    num_atoms_ += count;
}

std::vector<double> Batch::of_structure(const Structure& structure, const std::vector<double>& all, int width) const {
    const auto begin = all.begin() + width * structure.first;
    return {begin, begin + width * structure.count};
}

void Batch::build(
    std::int64_t number, const Box& box, const std::vector<double>& positions, const std::vector<double>& widths,
    const BatchSettings& settings) {
    Structure& structure = structures_[number];
    if (structure.count == 0) return;
    NeighborSearch search;
    structure.built->assembly = assemble(
        box, of_structure(structure, positions, 3), of_structure(structure, widths), settings.accuracy, settings.solver,
        settings.smearing, search, structure.built->processes);
}

void Batch::make_solver(std::int64_t number, const std::vector<double>& hardness, double tolerance) {
    Structure& structure = structures_[number];
    if (structure.count == 0) return;
    structure.solver = structure.built->assembly.make_solver(of_structure(structure, hardness), tolerance);
    structure.iterations.assign(2, {});
}

void Batch::start_from(std::vector<double> charges, std::vector<double> adjoint) {
    start_charges_ = std::move(charges);
    start_adjoint_ = std::move(adjoint);
    last_adjoint_.assign(num_atoms_, 0.0);
}

void Batch::potential(std::int64_t number, const std::vector<double>& q, std::vector<double>& result) const {
    const Structure& structure = structures_[number];
    if (structure.count == 0) return;
    const auto found = structure.built->assembly.matrix->multiply(of_structure(structure, q));
    std::copy(found.begin(), found.end(), result.begin() + structure.first);
}

// The multiplier is the mean of what is left: at the solution it is left everywhere.
void Batch::solve(
    std::int64_t number, const std::vector<double>& b, const std::vector<double>& t,
    const std::vector<double>& hardness, bool adjoint, std::vector<double>& x, std::vector<double>& multiplier) {
    Structure& structure = structures_[number];
    if (structure.count == 0) return;
    const auto& start = adjoint ? start_adjoint_ : start_charges_;
    const auto right_side = of_structure(structure, b);
    const auto found =
        structure.solver->solve(right_side, t[number], start.empty() ? nullptr : start.data() + structure.first);
    if (structure.built->assembly.iterative) structure.iterations[adjoint].push_back(structure.solver->iterations());
    const std::vector<double>* const known = structure.solver->product();
    const auto image = known ? *known : structure.built->assembly.matrix->multiply(found);
    double left = 0.0;
    for (std::int64_t atom = 0; atom < structure.count; ++atom)
        left += right_side[atom] - image[atom] - hardness[structure.first + atom] * found[atom];
    multiplier[number] = left / static_cast<double>(structure.count);
    std::copy(found.begin(), found.end(), x.begin() + structure.first);
    if (adjoint && !last_adjoint_.empty())
        std::copy(found.begin(), found.end(), last_adjoint_.begin() + structure.first);
}

void Batch::derivatives(
    std::int64_t number, const std::vector<double>& p, const std::vector<double>& q, std::vector<double>& by_positions,
    std::vector<double>& by_strain) const {
    const Structure& structure = structures_[number];
    if (structure.count == 0) return;
    const auto found =
        structure.built->assembly.matrix->derivatives(of_structure(structure, p), of_structure(structure, q), false);
    std::copy(found.positions.begin(), found.positions.end(), by_positions.begin() + 3 * structure.first);
    for (int c = 0; c < 6; ++c)
        by_strain[9 * number + 3 * voigt_row[c] + voigt_column[c]] =
            by_strain[9 * number + 3 * voigt_column[c] + voigt_row[c]] = found.strain[c];
}

void Batch::strain_per_atom(
    std::int64_t number, const std::vector<double>& p, const std::vector<double>& q,
    std::vector<double>& result) const {
    const Structure& structure = structures_[number];
    if (structure.count == 0) return;
    const auto found =
        structure.built->assembly.matrix->derivatives(of_structure(structure, p), of_structure(structure, q), true);
    std::copy(found.strain_per_atom.begin(), found.strain_per_atom.end(), result.begin() + 6 * structure.first);
}

void Batch::moved_products(
    std::int64_t number, const std::vector<double>& displacements, const std::vector<double>& strain,
    const std::vector<double>& p, const std::vector<double>& q, std::vector<double>& by_p,
    std::vector<double>& by_q) const {
    const Structure& structure = structures_[number];
    if (structure.count == 0) return;
    Motion motion{of_structure(structure, displacements, 3), {}};
    const double* const e = &strain[9 * number];
    for (int a = 0; a < 3; ++a)
        for (int b = 0; b < 3; ++b) motion.strain[a][b] = 0.5 * (e[3 * a + b] + e[3 * b + a]);
    const auto of_q = structure.built->assembly.matrix->moved_product(motion, of_structure(structure, q));
    std::copy(of_q.begin(), of_q.end(), by_p.begin() + structure.first);
    const auto of_p = structure.built->assembly.matrix->moved_product(motion, of_structure(structure, p));
    std::copy(of_p.begin(), of_p.end(), by_q.begin() + structure.first);
}

std::vector<std::int64_t> Batch::iterations() const {
    std::vector<std::int64_t> result;
    for (int adjoint = 0; adjoint < 2; ++adjoint)
        for (const auto& structure : structures_) {
            const auto& own = structure.iterations[adjoint];
            result.insert(result.end(), own.begin(), own.end());
        }
    return result;
}

}  // namespace mhdnn::electrostatics
