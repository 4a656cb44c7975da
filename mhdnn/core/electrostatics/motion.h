// A direction that a structure moves along: derivatives of the Coulomb matrix by it are what training on forces needs.
#pragma once

#include <cstdint>
#include <vector>

#include "vectors.h"

namespace mhdnn::electrostatics {

struct Motion {
    std::vector<double> displacements;  // of all atoms, 3 numbers an atom
    Matrix3 strain;                     // symmetric; on top of it atoms and cell vectors are multiplied with 1 + strain

    Vector3 displacement(std::int64_t atom) const {
        return {displacements[3 * atom], displacements[3 * atom + 1], displacements[3 * atom + 2]};
    }
    double trace() const { return strain[0][0] + strain[1][1] + strain[2][2]; }
};

}  // namespace mhdnn::electrostatics
