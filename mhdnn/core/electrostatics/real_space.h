// The short-ranged part of the Coulomb matrix: neighbours and the atoms themselves.
#pragma once

#include <vector>

#include "buffer.h"
#include "charge_system.h"
#include "motion.h"
#include "neighbors.h"

namespace mhdnn::electrostatics {

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

private:
    void evaluate(const std::vector<double>& widths, double smearing);
    void measure(std::int64_t row, const std::vector<double>& widths, double* squared, double* gamma) const;

    Neighbors neighbors_;
    Buffer<double> values_, slopes_;  // of the pairs: eV/e², and by r²
    std::vector<double> self_;        // of the rows
};

}  // namespace mhdnn::electrostatics
