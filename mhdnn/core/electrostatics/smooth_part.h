// The part of the Coulomb matrix that waves describe.
#pragma once

#include <cstddef>
#include <vector>

#include "motion.h"
#include "vectors.h"

namespace mhdnn::electrostatics {

// Derivatives of p A q at fixed p and q. Under strain cell vectors and atoms move together.
struct SmoothDerivatives {
    std::vector<double> positions;        // of own atoms, 3 numbers an atom
    Voigt strain;                         // of all atoms together, the same on all processes; of no open structure
    std::vector<double> strain_per_atom;  // of own atoms, 6 numbers an atom, if asked for
};

class SmoothPart {
public:
    virtual ~SmoothPart() = default;
    // Adds this process's share in its part of (A q) of all atoms; the sum over processes is the whole.
    virtual void add_product(const std::vector<double>& q, double* result) const = 0;
    virtual SmoothDerivatives derivatives(
        const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const = 0;
    // Adds the derivative of its part of (A q) along a motion; without strain for an open structure.
    virtual void add_moved_product(const Motion& motion, const std::vector<double>& q, double* result) const = 0;
    // Memory of its large arrays.
    virtual std::size_t num_bytes() const = 0;
};

}  // namespace mhdnn::electrostatics
