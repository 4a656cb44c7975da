// Expected errors of forces: the twin of mhdnn/uncertainty/model.py, from the grades on. Neither LAMMPS nor torch is
// seen.
#pragma once

#include <vector>

#include "model.h"

namespace mhdnn {

// logarithms: of grade and length of the force (with its floor), two numbers for each atom of the pairs; grades: grade
// and excess, two numbers for each centre; outside: of the centres, may be empty. The result is in eV/Å.
std::vector<double> expected_errors(
    const ErrorModel& model, const Pairs& pairs, double cutoff, const std::vector<double>& logarithms,
    const std::vector<double>& grades, const std::vector<char>& outside);

}  // namespace mhdnn
