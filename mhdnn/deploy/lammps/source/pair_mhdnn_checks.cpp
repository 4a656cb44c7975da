// What the pair style refuses or warns of in each step: what is no number, and atoms outside the training data.
#include <algorithm>
#include <cmath>

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "pair_mhdnn.h"
#include "update.h"

using namespace LAMMPS_NS;

void PairMHDNN::check_positions() const {
    for (int i = 0; i < atom->nlocal; ++i)
        if (!std::isfinite(atom->x[i][0] + atom->x[i][1] + atom->x[i][2]))
            error->one(
                FLERR,
                "pair_style mhdnn: position of atom {} is not a number; look for atoms too close at the start, "
                "or choose a smaller timestep",
                atom->tag[i]);
    if (!std::isfinite(domain->xprd + domain->yprd + domain->zprd + domain->xy + domain->xz + domain->yz))
        error->all(
            FLERR,
            "pair_style mhdnn: the box is not finite at step {}; look at the barostat, or choose a smaller "
            "timestep",
            update->ntimestep);
}

void PairMHDNN::check_forces() const {
    for (const int i : neighborhood_.atoms())
        if (!std::isfinite(atom->f[i][0] + atom->f[i][1] + atom->f[i][2]))
            error->one(
                FLERR, "pair_style mhdnn: force on atom {} is not a number; look for atoms at the same place",
                atom->tag[i]);
}

void PairMHDNN::check_finite(const char* what, const std::vector<double>& of_centers) const {
    for (std::size_t node = 0; node < of_centers.size(); ++node)
        if (!std::isfinite(of_centers[node]))
            error->one(
                FLERR, "pair_style mhdnn: {} of atom {} is not a number; look for atoms at the same place", what,
                atom->tag[neighborhood_.atoms()[node]]);
}

void PairMHDNN::check_total_charge() {
    const std::string found = model_->total_charge_outside(settings_.total_charge);
    if (settings_.extrapolation == "off" || found.empty()) return;
    if (settings_.extrapolation == "stop")
        error->all(
            FLERR,
            "pair_style mhdnn: outside the range of the training data ({}); train on such systems, or set "
            "`extrapolation warn`",
            found);
    if (comm->me == 0 && !told_of_total_charge_)
        error->warning(
            FLERR,
            "pair_style mhdnn: outside the range of the training data ({}): charges and energies may be "
            "wrong",
            found);
    told_of_total_charge_ = true;
}

// `extrapolation off` is silent; expected errors rise nonetheless where atoms are outside.
bool PairMHDNN::is_marked() const { return settings_.extrapolation != "off" || has_grades(); }

void PairMHDNN::mark_outside(const std::vector<double>& charges) {
    outside_ = model_->mark_outside(charges);
    if (settings_.extrapolation == "off") return;
    bigint own = std::count(outside_.begin(), outside_.end(), 1);
    MPI_Allreduce(&own, &num_outside_, 1, MPI_LMP_BIGINT, MPI_SUM, world);
    pvector[0] = static_cast<double>(own);
    if (num_outside_ == 0 || settings_.extrapolation != "stop") return;
    error->all(
        FLERR,
        "pair_style mhdnn: {} atoms at step {} are outside the range of the training data ({}); train on "
        "such structures, or set `extrapolation warn`",
        num_outside_, update->ntimestep, why_first_outside(charges));
}

// At the 1st, 10th, 100th ... such step: a long run must not fill the disk.
void PairMHDNN::warn_of_extrapolation(const std::vector<double>& charges) {
    if (num_outside_ == 0 || ++num_extrapolating_steps_ != next_warning_) return;
    next_warning_ *= 10;
    const std::string why = why_first_outside(charges);
    if (comm->me == 0)
        error->warning(
            FLERR,
            "pair_style mhdnn: {} atoms at step {} are outside the range of the training data ({}; {} "
            "such steps so far; count of each step: compute pair mhdnn, [1])",
            num_outside_, update->ntimestep, why, num_extrapolating_steps_);
}

// The marked atom with the smallest ID, known to the process that owns it, told to all.
std::string PairMHDNN::why_first_outside(const std::vector<double>& charges) const {
    const auto tag_of = [this](int node) { return atom->tag_enable ? atom->tag[neighborhood_.atoms()[node]] : 0; };
    int center = -1;
    for (int node = 0; node < static_cast<int>(outside_.size()); ++node)
        if (outside_[node] && (center < 0 || tag_of(node) < tag_of(center))) center = node;
    bigint own = center < 0 ? MAXBIGINT : tag_of(center), first = 0;
    MPI_Allreduce(&own, &first, 1, MPI_LMP_BIGINT, MPI_MIN, world);
    int candidate = center >= 0 && own == first ? comm->me : comm->nprocs, owner = 0;
    MPI_Allreduce(&candidate, &owner, 1, MPI_INT, MPI_MIN, world);
    std::string text;
    if (owner == comm->me)
        text = fmt::format(
            "atom {}, {}: {}", first, model_->metadata().elements[neighborhood_.pairs().element[center]],
            model_->why_outside(center, charges));
    int length = static_cast<int>(text.size());
    MPI_Bcast(&length, 1, MPI_INT, owner, world);
    text.resize(length);
    MPI_Bcast(text.data(), length, MPI_CHAR, owner, world);
    return text;
}
