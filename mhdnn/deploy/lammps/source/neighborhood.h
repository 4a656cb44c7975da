// What the model needs of LAMMPS's atoms: centres, neighbours, pair vectors within the cutoff.
#pragma once

#include <vector>

#include "pairs.h"

namespace LAMMPS_NS {
class Atom;
class NeighList;
class Neighbor;
}  // namespace LAMMPS_NS

namespace mhdnn {

// Atoms are numbered anew, centres first ("nodes"): types without an element and atoms that a fix has taken out
// (trial deletions of fix gcmc) do not exist for the model.
class Neighborhood {
public:
    // element_of_type: place of each atom type in the model's elements, -1 without; index 0 is not used
    void set_elements(std::vector<int> element_of_type);
    // Centres and pairs of this step.
    void update(
        const LAMMPS_NS::NeighList& list, const LAMMPS_NS::Atom& atom, const LAMMPS_NS::Neighbor& neighbor,
        double cutoff);

    const Pairs& pairs() const { return pairs_; }
    // Number of each node's atom in LAMMPS.
    const std::vector<int>& atoms() const { return atoms_; }
    int num_centers() const { return static_cast<int>(pairs_.num_centers); }

private:
    void number_atoms(const LAMMPS_NS::NeighList&, const LAMMPS_NS::Atom&, const LAMMPS_NS::Neighbor&);
    void collect_pairs(const LAMMPS_NS::NeighList&, const LAMMPS_NS::Atom&, double cutoff);

    std::vector<int> element_of_type_, atoms_, node_, rows_, near_;
    Pairs pairs_;
};

}  // namespace mhdnn
