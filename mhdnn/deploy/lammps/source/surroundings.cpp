#include "surroundings.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "atom.h"
#include "domain.h"
#include "error.h"
#include "fix.h"
#include "force.h"
#include "group.h"
#include "modify.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair.h"
#include "utils.h"

using namespace LAMMPS_NS;

namespace mhdnn {
namespace {

constexpr const char* freeze = "to hold atoms, use `fix setforce 0 0 0` (their energy and pressure then stay right)";

// Parts of the names of pair styles that act on atom->q.
constexpr const char* charged_pairs[] = {"coul",   "tip4p", "dipole",  "thole", "dsf",    "wolf", "comb",
                                         "reaxff", "smtbq", "eff/cut", "awpmd", "amoeba", "hippo"};
// Beginnings of the names of fixes that set atom->q, or act on it.
constexpr const char* charged_fixes[] = {
    "^qeq/", "^acks2/", "^qtpie/", "^electrode/", "^polarize/", "^charge/regulation", "^efield"};

}  // namespace

bool Surroundings::has_atoms(int group_bits) const {
    int own = 0, any = 0;
    for (int i = 0; i < atom->nlocal; ++i)
        if ((atom->mask[i] & group_bits) && known(atom->type[i])) own = 1;
    MPI_Allreduce(&own, &any, 1, MPI_INT, MPI_MAX, world);
    return any != 0;
}

void Surroundings::check_pairs() const {
    if (neighbor->exclude) check_exclusions();
    if (neighbor->includegroup)
        error->all(FLERR, "pair_style mhdnn: `neigh_modify include` leaves atoms without neighbors; remove it");
    if (atom->molecular != Atom::ATOMIC) check_bonds();
}

void Surroundings::check_exclusions() const {
    for (int entry = 0; entry < neighbor->nex_type; ++entry)
        if (known(neighbor->ex1_type[entry]) && known(neighbor->ex2_type[entry]))
            error->all(
                FLERR,
                "pair_style mhdnn: `neigh_modify exclude type {} {}` takes neighbors away, which changes the "
                "energies of all atoms around; remove it; {}",
                neighbor->ex1_type[entry], neighbor->ex2_type[entry], freeze);
    for (int entry = 0; entry < neighbor->nex_group; ++entry) {
        const int first = neighbor->ex1_group[entry], second = neighbor->ex2_group[entry];
        if (first == 0 || second == 0) continue;
        if (has_atoms(group->bitmask[first]) && has_atoms(group->bitmask[second]))
            error->all(
                FLERR,
                "pair_style mhdnn: `neigh_modify exclude group {} {}` takes neighbors away, which changes the "
                "energies of all atoms around; remove it; {}",
                group->names[first], group->names[second], freeze);
    }
    for (int entry = 0; entry < neighbor->nex_mol; ++entry)
        if (has_atoms(group->bitmask[neighbor->ex_mol_group[entry]]))
            error->all(
                FLERR,
                "pair_style mhdnn: `neigh_modify exclude molecule/{} {}` takes neighbors away, which changes "
                "the energies of all atoms around; remove it; {}",
                neighbor->ex_mol_intra[entry] ? "intra" : "inter", group->names[neighbor->ex_mol_group[entry]], freeze);
}

// Neighbours along bonds whose factor is zero are not in the list; of other factors the model knows nothing.
void Surroundings::check_bonds() const {
    const double* const factors = force->special_lj;
    if (factors[1] == 1.0 && factors[2] == 1.0 && factors[3] == 1.0) return;
    int own = atom->molecular == Atom::TEMPLATE ? 1 : 0, any = 0;
    if (atom->nspecial)
        for (int i = 0; i < atom->nlocal; ++i)
            if (known(atom->type[i]) && atom->nspecial[i][2] > 0) own = 1;
    MPI_Allreduce(&own, &any, 1, MPI_INT, MPI_MAX, world);
    if (any)
        error->all(
            FLERR,
            "pair_style mhdnn: `special_bonds` {} {} {} takes bonded neighbors away; set `special_bonds "
            "lj/coul 1 1 1`, or leave the bonds out of the data file",
            factors[1], factors[2], factors[3]);
}

// Pairs of elements of the model that pair_style hybrid keeps from it.
void Surroundings::check_list(const NeighList& list) const {
    if (!list.iskip || !list.ijskip) return;
    for (int i = 1; i <= atom->ntypes; ++i)
        for (int j = 1; j <= atom->ntypes; ++j)
            if (known(i) && known(j) && (list.iskip[i] || list.ijskip[i][j]))
                error->all(
                    FLERR,
                    "pair_style mhdnn: `pair_coeff` of `pair_style {}` gives pairs of atom types {} and {} to "
                    "another style or to none, which changes the energies of all atoms around; add other styles by "
                    "`pair_style hybrid/overlay`, and map types that the model must not see to NULL",
                    force->pair_style, std::min(i, j), std::max(i, j));
}

void Surroundings::check_charges() const {
    if (force->kspace)
        error->all(
            FLERR, "pair_style mhdnn: the model computes its own long-range electrostatics; remove kspace_style");
    for (const auto* fix : modify->get_fix_list())
        for (const char* name : charged_fixes) {
            if (!utils::strmatch(fix->style, name)) continue;
            const bool field = strcmp(name, "^efield") == 0;
            error->all(
                FLERR,
                "pair_style mhdnn: `fix {} ... {}` acts on charges that the model determines itself, and knows "
                "nothing of how they respond; {}",
                fix->id, fix->style,
                field ? "remove it, and give a uniform field to the model: `pair_style mhdnn efield Ex Ey Ez` (V/A)"
                      : "remove it");
        }
    check_pair_styles();
}

void Surroundings::check_pair_styles() const {
    for (const char* name : charged_pairs) {
        const Pair* before = force->pair;
        for (int number = 1;; ++number) {
            Pair* const other = force->pair_match(name, 0, number);
            // a sub-style that is the only one of its kind is found under every number
            if (!other || !other->setflag || other == before) break;
            before = other;
            for (int i = 1; i <= atom->ntypes; ++i)
                for (int j = i; j <= atom->ntypes; ++j)
                    if (other->setflag[i][j] && (known(i) || known(j)))
                        error->all(
                            FLERR,
                            "pair_style mhdnn: the sub-style {} acts on charges of atom types {} and {}, whose "
                            "electrostatics is part of the model: it would be counted twice; remove it, or use it for "
                            "types "
                            "only that are NULL for the model",
                            force->pair_match_ptr(other), i, j);
        }
    }
}

void Surroundings::check_field(const double* field) const {
    const double vectors[3][3] = {
        {domain->xprd, 0.0, 0.0}, {domain->xy, domain->yprd, 0.0}, {domain->xz, domain->yz, domain->zprd}};
    for (int axis = 0; axis < 3; ++axis) {
        double along = 0.0;
        for (int component = 0; component < 3; ++component) along += field[component] * vectors[axis][component];
        if (domain->periodicity[axis] && along != 0.0)
            error->all(
                FLERR,
                "pair_style mhdnn efield: expected no field along periodic directions, where charges have no "
                "potential in it, got one along {}; set `boundary` to f there, or the component to 0",
                "xyz"[axis]);
    }
}

}  // namespace mhdnn
