// Expected errors of forces in each step: of each atom, their largest, and what is done where that is too large.
#include <algorithm>
#include <cstdio>

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "expected_errors.h"
#include "pair_mhdnn.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

constexpr bigint steps_between_dumps = 100;  // neighbouring steps are the same structure

}  // namespace

bool PairMHDNN::has_grades() const { return settings_.with_grade && !model_->error_model().offset.empty(); }

// Of owned atoms and ghosts, as they stand now.
std::vector<double> PairMHDNN::own_forces() {
    const int num_atoms = atom->nlocal + atom->nghost;
    if (num_atoms == 0) return {};
    return std::vector<double>(&atom->f[0][0], &atom->f[0][0] + 3 * num_atoms);
}

// The forces of this style alone: what it has added, gathered from ghosts.
void PairMHDNN::expect_errors() {
    const auto& model = model_->error_model();
    const auto& atoms = neighborhood_.atoms();
    const int num_centers = neighborhood_.num_centers();
    const std::vector<double> after = own_forces(), grades = model_->grades();
    width_ = 3;
    buffer_.resize(after.size());  // not atom->nmax: LAMMPS leaves room for 16384 atoms, which are slow to clear
    for (std::size_t i = 0; i < after.size(); ++i) buffer_[i] = (after[i] - forces_before_[i]) / energy_unit_;
    comm->reverse_comm(this);
    constexpr int width = mhdnn::num_sizes;
    std::vector<double> sizes(width * num_centers);
    for (int node = 0; node < num_centers; ++node)
        mhdnn::store_sizes(model, &grades[2 * node], &buffer_[3 * atoms[node]], &sizes[width * node]);
    width_ = width;
    buffer_.resize(width * (atom->nlocal + atom->nghost));
    for (int node = 0; node < num_centers; ++node)
        std::copy_n(&sizes[width * node], width, &buffer_[width * atoms[node]]);
    comm->forward_comm(this);
    sizes.resize(width * atoms.size());
    for (std::size_t node = num_centers; node < atoms.size(); ++node)
        std::copy_n(&buffer_[width * atoms[node]], width, &sizes[width * node]);
    width_ = 1;
    const double cutoff = model_->metadata().cutoff;
    const auto errors = mhdnn::expected_errors(model, neighborhood_.pairs(), cutoff, sizes, outside_);
    if (static_cast<int>(grade_of_atom_.size()) < atom->nmax) grade_of_atom_.resize(atom->nmax);
    std::fill_n(grade_of_atom_.begin(), atom->nlocal, 0.0);
    for (int node = 0; node < num_centers; ++node) grade_of_atom_[atoms[node]] = errors[node];
    check_grades();
}

// At the 1st, 10th, 100th ... such step, as those of atoms outside the training data.
void PairMHDNN::check_grades() {
    const auto last = grade_of_atom_.begin() + atom->nlocal;
    double own = atom->nlocal ? *std::max_element(grade_of_atom_.begin(), last) : 0.0, largest = 0.0;
    MPI_Allreduce(&own, &largest, 1, MPI_DOUBLE, MPI_MAX, world);
    pvector[2] = comm->me == 0 ? largest : 0.0;  // compute pair adds the processes up
    if (settings_.grade_limit == 0.0 || largest <= settings_.grade_limit) return;
    if (settings_.grade_action == "stop")
        error->all(
            FLERR,
            "pair_style mhdnn: expected error of a force {:.4g} eV/A at step {} is above the limit {:.4g}; train "
            "on such structures, or raise `grade_limit`",
            largest, update->ntimestep, settings_.grade_limit);
    if (settings_.grade_action == "dump" && update->ntimestep >= next_dump_) {
        dump_structure(largest);
        next_dump_ = update->ntimestep + steps_between_dumps;
    }
    if (++num_uncertain_steps_ != next_uncertain_warning_) return;
    next_uncertain_warning_ *= 10;
    if (comm->me == 0)
        error->warning(
            FLERR,
            "pair_style mhdnn: expected error of a force {:.4g} eV/A at step {} is above the limit {:.4g} ({} "
            "such steps so far; that of each step: compute pair mhdnn, [3])",
            largest, update->ntimestep, settings_.grade_limit, num_uncertain_steps_);
}

// One more frame of extended XYZ, which ASE and `mhdnn data` read.
void PairMHDNN::dump_structure(double largest) {
    std::string lines;
    for (int node = 0; node < neighborhood_.num_centers(); ++node) {
        const int i = neighborhood_.atoms()[node];
        const auto& name = model_->metadata().elements[neighborhood_.pairs().element[node]];
        lines += fmt::format(
            "{} {:.10f} {:.10f} {:.10f} {:.6g}\n", name, atom->x[i][0] - domain->boxlo[0],
            atom->x[i][1] - domain->boxlo[1], atom->x[i][2] - domain->boxlo[2], grade_of_atom_[i]);
    }
    bigint num_own = neighborhood_.num_centers(), num_atoms = 0;
    MPI_Reduce(&num_own, &num_atoms, 1, MPI_LMP_BIGINT, MPI_SUM, 0, world);
    const auto periodic = [this](int axis) { return domain->periodicity[axis] ? 'T' : 'F'; };
    const std::string head = fmt::format(
        "{}\nLattice=\"{:.10f} 0 0 {:.10f} {:.10f} 0 {:.10f} {:.10f} {:.10f}\" pbc=\"{} {} {}\" "
        "Properties=species:S:1:pos:R:3:grade:R:1 step={} uncertainty={:.6g}\n",
        num_atoms, domain->xprd, domain->xy, domain->yprd, domain->xz, domain->yz, domain->zprd, periodic(0),
        periodic(1), periodic(2), update->ntimestep, largest);
    append_in_turn(comm->me == 0 ? head + lines : lines);
}

// The lines of one process after the other, so that the first one never has the text of all atoms.
void PairMHDNN::append_in_turn(std::string lines) {
    int size = static_cast<int>(lines.size());
    if (comm->me != 0) {
        MPI_Send(&size, 1, MPI_INT, 0, 0, world);
        MPI_Send(&lines[0], size, MPI_CHAR, 0, 0, world);
        return;
    }
    FILE* const file = std::fopen(settings_.grade_file.c_str(), "a");
    bool written = file != nullptr;
    for (int rank = 0; written && rank < comm->nprocs; ++rank) {
        if (rank > 0) {
            MPI_Recv(&size, 1, MPI_INT, rank, 0, world, MPI_STATUS_IGNORE);
            lines.resize(size);
            MPI_Recv(&lines[0], size, MPI_CHAR, rank, 0, world, MPI_STATUS_IGNORE);
        }
        written = std::fwrite(lines.data(), 1, lines.size(), file) == lines.size();
    }
    if (!file || std::fclose(file) != 0 || !written)
        error->one(
            FLERR, "pair_style mhdnn grade_limit: {} can't be written; choose another file", settings_.grade_file);
}
