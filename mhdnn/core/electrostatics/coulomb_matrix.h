// The Coulomb matrix as the sum of its parts.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "cell.h"
#include "dense_matrix.h"
#include "real_space.h"
#include "smooth_part.h"

namespace mhdnn::electrostatics {

class CoulombMatrix {
public:
    // With a cell: its real-space, smooth and background parts. Without: what an open structure has of them.
    CoulombMatrix(
        std::vector<double> positions, RealSpace real, std::unique_ptr<SmoothPart> smooth, std::optional<Cell> cell,
        std::optional<Background> background, const Processes& processes);

    // A q of all atoms.
    std::vector<double> multiply(const std::vector<double>& q) const;
    Derivatives derivatives(const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const;
    // The derivative of (A q) of own atoms along a motion.
    std::vector<double> moved_product(const Motion& motion, const std::vector<double>& q) const;
    // Completes the elements of the smooth part, of which the lower triangle counts, and keeps them for products.
    void keep_elements(DenseMatrix smooth);
    const DenseMatrix& elements() const { return *elements_; }
    // Memory of its large arrays.
    std::size_t num_bytes() const {
        return real_.num_bytes() + (smooth_ ? smooth_->num_bytes() : 0) +
               (elements_ ? sizeof(double) * elements_->values.size() : 0);
    }

private:
    Motion motion_of_smooth_part(const Motion& motion) const;
    void add_smooth_strain(const SmoothDerivatives& smooth, Voigt& own, Voigt& common) const;
    void share_difference(Derivatives& result) const;

    std::vector<double> positions_;
    RealSpace real_;
    std::unique_ptr<SmoothPart> smooth_;
    std::optional<Cell> cell_;
    std::optional<Background> background_;
    std::optional<DenseMatrix> elements_;
    const Processes& processes_;
};

}  // namespace mhdnn::electrostatics
