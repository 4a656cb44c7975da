// What the other commands of an input must not do beside pair_style mhdnn. What they do ends the run with a sentence.
#pragma once

#include <string>
#include <vector>

#include "pointers.h"

namespace LAMMPS_NS {
class NeighList;
}

namespace mhdnn {

class Surroundings : protected LAMMPS_NS::Pointers {
public:
    explicit Surroundings(LAMMPS_NS::LAMMPS* lmp) : Pointers(lmp) {}
    // element_of_type: place of each atom type in the model's elements, -1 without; index 0 is not used
    void set_elements(std::vector<int> element_of_type) { element_of_type_ = std::move(element_of_type); }

    // Neighbours that a command has taken from the list: energies of all atoms around would change without a word.
    // Looks at atoms, so that it belongs to every new list. Exclusion from `all` stays: it is a deletion on trial.
    void check_pairs() const;
    void check_list(const LAMMPS_NS::NeighList&) const;
    // Other commands that act on the charges which the model determines.
    void check_charges() const;
    // A uniform field has no potential along a periodic direction.
    void check_field(const double* field) const;

private:
    bool known(int type) const { return element_of_type_[type] >= 0; }
    bool has_atoms(int group_bits) const;
    void check_exclusions() const;
    void check_bonds() const;
    void check_pair_styles() const;

    std::vector<int> element_of_type_;
};

}  // namespace mhdnn
