// The keywords of pair_style mhdnn.
#pragma once

#include <array>
#include <string>

#include "electrostatics/charge_system.h"

namespace LAMMPS_NS {
class LAMMPS;
}

namespace mhdnn {

struct PairSettings {
    std::string device = "cpu", dtype = "model", extrapolation = "warn", solver = "auto";
    double total_charge = 0.0;             // e
    double accuracy = 0.0;                 // of sums over periodic images; 0: that of the model
    std::array<double, 3> field = {};      // V/Å
    bool with_grade = true;                // whether expected errors of forces are computed
    double grade_limit = 0.0;              // eV/Å; 0: none
    std::string grade_action, grade_file;  // what is done beyond it: warn, stop, or dump to a file

    bool has_field() const { return field != std::array<double, 3>{}; }
    SolverChoice solver_choice() const;
    // Ends the run if something is asked for that a model without charges can't have.
    void refuse_charges(LAMMPS_NS::LAMMPS* lmp) const;
};

// The arguments of `pair_style mhdnn`; wrong ones end the run.
PairSettings read_settings(LAMMPS_NS::LAMMPS* lmp, int narg, char** arg);

}  // namespace mhdnn
