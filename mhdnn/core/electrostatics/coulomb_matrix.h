// The Coulomb matrix as the sum of its parts.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "cell.h"
#include "real_space.h"
#include "smooth_part.h"

namespace mhdnn::electrostatics {

class CoulombMatrix {
public:
    // With a cell: its real-space, smooth and background parts. Without: what an open structure has of them.
    CoulombMatrix(
        std::vector<double> positions, RealSpace real, std::unique_ptr<SmoothPart> smooth, std::optional<Cell> cell,
        std::optional<Background> background, const Processes& processes);

    // (A q) of own atoms.
    std::vector<double> multiply(const std::vector<double>& q) const;
    Derivatives derivatives(const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const;
    // Adds all but the smooth part to the elements.
    void add_to_matrix(double* matrix) const;

private:
    void add_smooth_strain(const SmoothDerivatives& smooth, Voigt& own, Voigt& common) const;
    void share_difference(Derivatives& result) const;

    std::vector<double> positions_;
    RealSpace real_;
    std::unique_ptr<SmoothPart> smooth_;
    std::optional<Cell> cell_;
    std::optional<Background> background_;
    const Processes& processes_;
};

}  // namespace mhdnn::electrostatics
