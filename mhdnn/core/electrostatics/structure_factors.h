// The smooth part by explicit wave vectors: formulas in electrostatics/ewald.py. Every process has those of all atoms.
#pragma once

#include <vector>

#include "charge_system.h"
#include "dense_matrix.h"
#include "smooth_part.h"

namespace mhdnn::electrostatics {

class StructureFactors : public SmoothPart {
public:
    // The cutoff is the largest wave vector, 1/Å.
    StructureFactors(
        const Matrix3& cell, const std::vector<double>& positions, double smearing, double cutoff,
        const Processes& processes);

    void add_product(const std::vector<double>& q, double* result) const override;
    SmoothDerivatives derivatives(
        const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const override;
    void add_moved_product(const Motion& motion, const std::vector<double>& q, double* result) const override;
    std::size_t num_bytes() const override {
        return waves_.size() * sizeof(waves_[0]) + sizeof(double) * (10 * weights_.size() + 2 * cosine_.size());
    }
    // Its part of A, the lower triangle, eV/e².
    DenseMatrix matrix() const;

private:
    // Numbers of each wave: sums over atoms of charges times cosine and sine.
    struct Sums {
        std::vector<double> cosine, sine;
    };
    std::int64_t num_waves() const { return static_cast<std::int64_t>(weights_.size()); }
    Sums sums(const std::vector<double>& charges) const;
    void set_waves(const Matrix3& cell, const std::vector<double>& positions);
    void add_derivatives(
        const std::vector<double>& p, const Sums& of_q, bool per_atom, SmoothDerivatives& result) const;

    const Processes& processes_;
    std::vector<std::array<std::int64_t, 3>> waves_;  // numbers of the reciprocal vectors: one of each k and -k
    std::vector<double> x_, y_, z_;                   // components of k
    std::vector<double> weights_;                     // eV/e²
    std::vector<double> strain_;                      // derivatives of the logarithms of the weights, 6 numbers each
    std::vector<double> cosine_, sine_;               // of k·r: a row for each atom
};

}  // namespace mhdnn::electrostatics
