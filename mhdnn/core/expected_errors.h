// Expected errors of forces: the twin of mhdnn/uncertainty/model.py, from the grades on. Neither LAMMPS nor torch is
// seen.
#pragma once

#include <vector>

#include "model.h"

namespace mhdnn {

// Of an atom: logarithms of its grade and of the length of its force (with its floor), and its excess.
constexpr int num_sizes = 3;

// grade: and excess; force: three components, eV/Å.
void store_sizes(const ErrorModel& model, const double* grade, const double* force, double* sizes);

// sizes: num_sizes numbers for each atom of the pairs; outside: of the centres, may be empty. The result is in eV/Å.
std::vector<double> expected_errors(
    const ErrorModel& model, const Pairs& pairs, double cutoff, const std::vector<double>& sizes,
    const std::vector<char>& outside);

}  // namespace mhdnn
