// Repulsion of nuclei: mhdnn/repulsion.py, with its derivative.
#pragma once

#include <vector>

#include "pairs.h"
#include "weights.h"

namespace mhdnn {

class Repulsion {
public:
    Repulsion() = default;
    // None if the model has none.
    Repulsion(const Weights& weights, int num_elements);

    // Squared distance within which there is any, Å²; 0 without one.
    double squared_reach() const { return squared_reach_; }
    // Half of the repulsion of a centre with its neighbours, eV; adds the gradient by the vectors of its pairs.
    template <class T>
    double add(const Pairs& pairs, std::int64_t center, T* gradient) const;

private:
    double of_pair(int pair, double distance, double& slope) const;

    int num_elements_ = 0;
    double squared_reach_ = 0.0;
    std::vector<double> strength_, length_, inner_, outer_, amplitudes_, decays_;  // of pairs of elements; of terms
};

}  // namespace mhdnn
