// Charges of one step over all processes: gathered positions, charge equilibration, and its response.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "electrostatics/charge_system.h"
#include "electrostatics/history.h"
#include "electrostatics/neighbors.h"

namespace mhdnn {

// The history follows the atoms into the order of now.
void follow_atoms(const Processes&, const std::vector<double>& tags_local, ChargeHistory&);

// What a run remembers from step to step.
struct ChargeMemory {
    ChargeHistory history;
    electrostatics::NeighborSearch neighbors{1.0};  // margin, Å: costs a quarter of the pairs more, serves many steps
};

struct ChargeSettings {
    double accuracy, total_charge;
    SolverChoice solver;
    std::array<double, 3> field;  // V/Å: energy -q E.r of each charge, r from the origin
};

// One geometry. A field adds -E.r to the electronegativities, so that its response is part of all derivatives. `local`
// are the atoms of this process (centres of the model), `all` those of all processes.
class ChargeStep {
public:
    ChargeStep(
        std::unique_ptr<Processes>, const Box&, const std::vector<double>& positions_local,
        const std::vector<double>& widths_local, const std::vector<double>& hardness_local, const ChargeSettings&,
        ChargeMemory&);

    // Charges of the local atoms, e; `start` is a guess of them where there is no history, or empty.
    std::vector<double> equilibrate(const std::vector<double>& electronegativity, const std::vector<double>& start);
    // Electrostatic energies of the local atoms, those in the field included, eV.
    std::vector<double> energies() const;
    // How electronegativities act on the energy: adjoint charges of the local atoms, for the gradient of the
    // short-range energy by their charges.
    std::vector<double> respond(const std::vector<double>& short_range_gradient);
    // Derivatives of the energy by positions and strain that don't go through the model.
    Derivatives derivatives(bool per_atom) const;
    int iterations() const { return system_->iterations(); }

private:
    std::vector<double> local(const std::vector<double>& all) const;
    std::vector<double> given_by_all(const std::vector<double>& local) const;
    void add_field(Derivatives&) const;

    std::unique_ptr<Processes> processes_;
    double total_charge_;
    std::unique_ptr<ChargeSystem> system_;
    Box box_;
    std::array<double, 3> field_;
    ChargeHistory& history_;
    std::vector<double> positions_;  // of the local atoms
    std::vector<double> external_;   // -E.r of the local atoms, eV/e
    std::vector<double> positions_all_, potential_, adjoint_;
};

}  // namespace mhdnn
