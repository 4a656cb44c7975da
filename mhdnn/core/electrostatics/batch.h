// Several structures, each within this process: what training and the calculator of Python call.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "assembly.h"
#include "charge_system.h"
#include "solver.h"

namespace mhdnn::electrostatics {

struct BatchSettings {
    double accuracy;
    SolverChoice solver;
    double smearing;  // chosen if it is zero
};

// Values are of all atoms, structure after structure. Functions of different structures may be called in parallel.
class Batch {
public:
    explicit Batch(const std::vector<std::int64_t>& counts);
    // Some structures of other batches, as they were built.
    explicit Batch(const std::vector<std::pair<const Batch*, std::int64_t>>& chosen);

    std::int64_t num_structures() const { return static_cast<std::int64_t>(structures_.size()); }
    std::int64_t num_atoms() const { return num_atoms_; }
    void build(
        std::int64_t structure, const Box& box, const std::vector<double>& positions, const std::vector<double>& widths,
        const BatchSettings& settings);
    // For what is solved from now on.
    void make_solver(std::int64_t structure, const std::vector<double>& hardness, double tolerance);
    // Guesses of the next charges and adjoint charges, or nothing.
    void start_from(std::vector<double> charges, std::vector<double> adjoint);

    // A q.
    void potential(std::int64_t structure, const std::vector<double>& q, std::vector<double>& result) const;
    // x and µ of (A + J) x + µ = b at the sum t of x.
    void solve(
        std::int64_t structure, const std::vector<double>& b, const std::vector<double>& t,
        const std::vector<double>& hardness, bool adjoint, std::vector<double>& x, std::vector<double>& multiplier);
    // Of p A q, by positions and by a symmetric strain (nine elements a structure).
    void derivatives(
        std::int64_t structure, const std::vector<double>& p, const std::vector<double>& q,
        std::vector<double>& by_positions, std::vector<double>& by_strain) const;
    // Shares of the atoms in the derivative of p A q by strain, six numbers an atom.
    void strain_per_atom(
        std::int64_t structure, const std::vector<double>& p, const std::vector<double>& q,
        std::vector<double>& result) const;
    // A' q and A' p of the derivative A' along displacements and strains (nine elements a structure).
    void moved_products(
        std::int64_t structure, const std::vector<double>& displacements, const std::vector<double>& strain,
        const std::vector<double>& p, const std::vector<double>& q, std::vector<double>& by_p,
        std::vector<double>& by_q) const;
    // Memory of the large arrays of a structure.
    std::int64_t num_bytes(std::int64_t structure) const {
        const auto& matrix = structures_.at(structure).built->assembly.matrix;
        return matrix ? static_cast<std::int64_t>(matrix->num_bytes()) : 0;
    }

    // Of every iterative solution since the solvers were made: charges of each structure, then adjoints.
    std::vector<std::int64_t> iterations() const;
    // Adjoint charges that were found last; zero where there were none.
    const std::vector<double>& last_adjoint() const { return last_adjoint_; }

private:
    struct Built {  // shared by the batches that it is part of
        explicit Built(std::int64_t count) : processes(count) {}
        Processes processes;
        Assembly assembly;
    };
    struct Structure {
        std::int64_t first, count;
        std::shared_ptr<Built> built;
        std::unique_ptr<Solver> solver;
        std::vector<std::vector<std::int64_t>> iterations;  // of charges, and of adjoints
    };
    void add(std::int64_t count, std::shared_ptr<Built> built);
    std::vector<double> of_structure(const Structure& structure, const std::vector<double>& all, int width = 1) const;

    std::vector<Structure> structures_;
    std::int64_t num_atoms_ = 0;
    std::vector<double> start_charges_, start_adjoint_, last_adjoint_;
};

}  // namespace mhdnn::electrostatics
