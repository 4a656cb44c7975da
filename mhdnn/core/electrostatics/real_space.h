// The short-ranged part of the Coulomb matrix: neighbours and the atoms themselves.
#pragma once

#include <vector>

#include "buffer.h"
#include "charge_system.h"
#include "motion.h"
#include "neighbors.h"
#include "pair_functions.h"

namespace mhdnn::electrostatics {

// Atoms whose pairs with each other are all in the part that is smeared by as much as they are: the widest ones, or
// none.
std::vector<char> silent_atoms(const std::vector<double>& widths, double smearing);

class RealSpace {
public:
    // The smearing is that of what is treated elsewhere; 0 if nothing is.
    RealSpace(Neighbors neighbors, const std::vector<double>& widths, double smearing);

    // Adds its part of (A q) of some of the rows.
    void add_product(const std::vector<double>& charges, Rows own, double* result) const;
    void add_to_matrix(double* matrix) const;
    // Adds the derivative of its part of (A q) along a motion.
    void add_moved_product(const Motion& motion, const std::vector<double>& charges, Rows own, double* result) const;
    // Adds the derivatives of p A q of some of the rows; each atom has half of the strain derivative of its pairs.
    void add_derivatives(
        const std::vector<double>& p, const std::vector<double>& q, Rows own, Voigt& strain, Derivatives& result) const;
    // Memory of its large arrays.
    std::size_t num_bytes() const { return 28 * values_.size() + 36 * neighbors_.images.atom.size(); }

private:
    void evaluate(const std::vector<double>& widths, double smearing);
    void interpolate(const Kinds& kinds, double smearing);

    Neighbors neighbors_;
    Buffer<double> values_, slopes_;  // of the pairs: eV/e², and by r²
    std::vector<double> self_;        // of the rows
};

}  // namespace mhdnn::electrostatics
