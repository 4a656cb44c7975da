// What charges add to the short range: mhdnn/charge_model.py without its network.
#pragma once

#include <vector>

#include "pairs.h"
#include "radial_basis.h"
#include "weights.h"

namespace mhdnn {

class ChargeTerms {
public:
    ChargeTerms() = default;
    ChargeTerms(const Weights& weights, int num_elements);

    // Adds energies of the centres with their neighbours that take the electrostatics of close pairs, and self terms,
    // out again; and the gradient by the charges of all atoms.
    void add_screening(
        const Pairs& pairs, const std::vector<double>& charges, std::vector<double>& energies,
        std::vector<double>& by_charges) const;
    // The gradient of the same by the pairs of a centre.
    template <class T>
    void add_gradient(const Pairs& pairs, const std::vector<double>& charges, std::int64_t center, T* gradient) const;

    std::vector<double> shift, widths, hardness, mean;  // of the elements
    double scale = 1.0;                                 // of charges as the networks see them
    double accuracy = 0.0;

private:
    // -½ k_e erf(r/d)/r (1 - f_s(r)) and its derivative by r.
    double of_pair(int first, int second, double distance, double& slope) const;

    double constant_ = 0.0, inner_ = 0.0, outer_ = 0.0;
    bool self_terms_ = false;
    CutoffFunction function_ = CutoffFunction::cosine;
};

}  // namespace mhdnn
