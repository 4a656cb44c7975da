// Guesses of charges from those of the steps before.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "charge_system.h"

namespace mhdnn {

// The polynomial in time through the charges of the last steps, as in J. Kolafa (2004), 10.1002/jcc.10385: of as many
// steps as make that of the positions better. So steps of any length, as in a minimisation, only lose the gain.
// Values are of all atoms in the order of the processes.
class ChargeHistory {
public:
    // The atoms are in another order now, or others, whom the tags tell apart. New ones count as having been uncharged.
    void follow(const std::vector<double>& tags);
    void forget();
    // Chooses the polynomial for new positions.
    void predict(const Box&, const std::vector<double>& positions);
    // Guesses; empty without a past.
    std::vector<double> charges() const { return combined(&Step::charges); }
    std::vector<double> adjoint() const { return combined(&Step::adjoint); }
    void add(std::vector<double> positions, std::vector<double> charges, std::vector<double> adjoint);

private:
    struct Step {
        std::vector<double> positions, charges, adjoint;  // positions of new atoms are not a number
    };
    std::vector<double> combined(std::vector<double> Step::*) const;

    std::deque<Step> steps_;  // the last one first
    std::vector<double> tags_, coefficients_;
};

}  // namespace mhdnn
