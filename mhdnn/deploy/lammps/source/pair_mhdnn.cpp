#include "pair_mhdnn.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "archive.h"
#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "mpi_processes.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#ifdef MHDNN_TORCH
#include "torch_model.h"
#endif

using namespace LAMMPS_NS;

namespace {

// Order of symmetric tensors: LAMMPS xx yy zz xy xz yz; mhdnn xx yy zz yz xz xy.
constexpr int voigt_of[6] = {0, 1, 2, 5, 4, 3};
// Places in a tensor, row by row, of LAMMPS's xx yy zz xy xz yz yx zx zy.
constexpr int place_of[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};
constexpr int mirrored_place_of[6] = {0, 4, 8, 3, 6, 7};

#ifdef MHDNN_TORCH
std::unique_ptr<mhdnn::Model> open_model(const std::string& path, const mhdnn::PairSettings& settings) {
    return mhdnn::open_torch_model(path, settings.device, settings.dtype);
}
#else
std::unique_ptr<mhdnn::Model> open_model(const std::string& path, const mhdnn::PairSettings& settings) {
    if (settings.device.rfind("cuda", 0) == 0)
        throw std::runtime_error(
            "device " + settings.device +
            ": this pair style was built without libtorch and runs on the "
            "CPU; build it by `mhdnn lammps build torch=true`, or choose device cpu");
    if (settings.device != "cpu") throw std::runtime_error("device: expected cpu or cuda, got " + settings.device);
    return mhdnn::open_plain_model(mhdnn::read_file(path), path, settings.dtype);
}
#endif

}  // namespace

PairMHDNN::PairMHDNN(LAMMPS* lmp) : Pair(lmp), surroundings_(lmp) {
    single_enable = 0;
    restartinfo = 0;
    one_coeff = 1;
    manybody_flag = 1;
    no_virial_fdotr_compute = 1;  // electrostatics of periodic images is no sum over ghosts
    comm_forward = 3;             // at most: mhdnn::num_sizes
    comm_reverse = 3;             // forces
    nextra = 3;
    pvector = new double[nextra]();  // shares of this process: compute pair adds them up
}

PairMHDNN::~PairMHDNN() {
    delete[] pvector;
    if (!allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
}

void PairMHDNN::allocate() {
    if (allocated) return;
    allocated = 1;
    const int n = atom->ntypes + 1;
    memory->create(setflag, n, n, "pair:setflag");
    memory->create(cutsq, n, n, "pair:cutsq");
    map = new int[n];
}

void PairMHDNN::settings(int narg, char** arg) {
    settings_ = mhdnn::read_settings(lmp, narg, arg);
    std::fill_n(pvector, nextra, 0.0);
}

void PairMHDNN::coeff(int narg, char** arg) {
    if (narg != 3 + atom->ntypes || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0)
        error->all(
            FLERR, "pair_coeff: expected `* * model.pt` and an element (or NULL) for each of the {} atom types",
            atom->ntypes);
    allocate();
    map_element2type(narg - 3, arg + 3);
    read_model(arg[2]);
    opened_with_ = settings_;
    check_settings();
    map_elements();
    // where energies of atoms stand in virials is known for the short range only
    centroidstressflag = model_->metadata().charges ? CENTROID_NOTAVAIL : CENTROID_AVAIL;
    print_model();
}

// A second `pair_style mhdnn` has other settings, and leaves the model as `pair_coeff` has opened it.
void PairMHDNN::check_settings() const {
    if (settings_.dtype != opened_with_.dtype || settings_.device != opened_with_.device)
        error->all(
            FLERR,
            "pair_style mhdnn: pair_coeff has opened the model with dtype {} and device {}, now it is {} and {}; give "
            "`pair_coeff * * model.pt ...` again",
            opened_with_.dtype, opened_with_.device, settings_.dtype, settings_.device);
    if (!model_->metadata().charges) settings_.refuse_charges(lmp);
    if (settings_.grade_limit > 0.0 && !has_grades())
        error->all(
            FLERR,
            "pair_style mhdnn grade_limit: the model doesn't know its errors (it is of an older version, or had "
            "too few data); train again with this version");
}

// A file may be there for some processes only: then nobody waits for those that have failed.
void PairMHDNN::read_model(const char* path) {
    std::string problem;
    try {
        model_ = open_model(path, settings_);
    } catch (const std::exception& thrown) {
        problem = thrown.what();
    }
    int own = problem.empty() ? 0 : 1, everywhere = 0;
    MPI_Allreduce(&own, &everywhere, 1, MPI_INT, MPI_MIN, world);
    if (everywhere) error->all(FLERR, "pair_style mhdnn: {}", problem);
    if (own) error->one(FLERR, "pair_style mhdnn: {}", problem);
}

void PairMHDNN::map_elements() {
    const auto& known = model_->metadata().elements;
    std::vector<int> element_of_type(atom->ntypes + 1, -1);
    for (int type = 1; type <= atom->ntypes; ++type) {
        if (map[type] < 0) continue;
        const std::string name = elements[map[type]];
        for (std::size_t place = 0; place < known.size(); ++place)
            if (known[place] == name) element_of_type[type] = static_cast<int>(place);
        if (element_of_type[type] < 0)
            error->all(
                FLERR, "pair_coeff: the model does not know element {} of atom type {}; it was trained for {}", name,
                type, utils::join_words(known, " "));
    }
    neighborhood_.set_elements(element_of_type);
    surroundings_.set_elements(element_of_type);
}

void PairMHDNN::print_model() const {
    const auto& model = model_->metadata();
    std::string text = fmt::format(
        "mhdnn {}: {}, cutoff {} A, {}, {}\n", model.mhdnn_version,
        model.charges ? "charge equilibration" : "short-ranged", model.cutoff, model.dtype, model_->engine());
    for (std::size_t place = 0; place < model.elements.size(); ++place)
        text += fmt::format(
            "  {}: reference energy {:.6f} eV (part of the energy; add it to chemical potentials)\n",
            model.elements[place], model.reference_energies[place]);
    if (model.charges)
        text += fmt::format(
            "  total charge {} e, solver {}, accuracy {}\n", settings_.total_charge, settings_.solver,
            settings_.accuracy > 0.0 ? settings_.accuracy : model.accuracy);
    if (settings_.has_field())
        text += fmt::format(
            "  field {} {} {} V/A: energy -q E.r of each charge, r from the origin\n", settings_.field[0],
            settings_.field[1], settings_.field[2]);
    if (comm->me != 0) return;
    utils::logmesg(lmp, text);
    if (settings_.extrapolation != "off" && !model_->knows_training_domain())
        error->warning(
            FLERR,
            "pair_style mhdnn: the model has no ranges of elements, distances and charges (it is of an older "
            "version, or of an unfinished training), so that atoms outside the range of the training data may go "
            "unnoticed; train again with this version");
}

void PairMHDNN::init_style() {
    check_settings();
    if (strcmp(update->unit_style, "metal") == 0)
        energy_unit_ = 1.0;
    else if (strcmp(update->unit_style, "real") == 0)
        energy_unit_ = utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
    else
        error->all(FLERR, "pair_style mhdnn: expected units metal or real, got {}", update->unit_style);
    if (!force->newton_pair) error->all(FLERR, "pair_style mhdnn: needs `newton on`, got newton pair off");
    if (domain->dimension != 3) error->all(FLERR, "pair_style mhdnn: needs `dimension 3`");
    surroundings_.check_pairs();
    if (model_->metadata().charges) {
        surroundings_.check_charges();
        surroundings_.check_field(settings_.field.data());
    }
    if (model_->metadata().charges && domain->periodicity[0] + domain->periodicity[1] + domain->periodicity[2] == 1)
        error->all(
            FLERR,
            "pair_style mhdnn: charges of a system with one periodic direction are not supported; use "
            "`boundary p p p` with vacuum around it");
    if (model_->metadata().charges) check_total_charge();
    warn_of_dispersion();
    neighbor->add_request(this, NeighConst::REQ_FULL);
}

void PairMHDNN::warn_of_dispersion() const {
    std::string left_out = model_->metadata().dispersion_left_out;
    if (left_out.empty() || force->pair_match("^dispersion/", 0) || comm->me != 0) return;
    std::string remedy = "add it";
    if (left_out.rfind("d3 ", 0) == 0)  // cutoffs as in mhdnn/dispersion.py
        remedy = fmt::format("use `pair_style hybrid/overlay mhdnn dispersion/d3 {} 30.0 20.0`", left_out.substr(3));
    error->warning(
        FLERR, "pair_style mhdnn: the model was trained without dispersion ({}), and none is added: {}", left_out,
        remedy);
}

double PairMHDNN::init_one(int, int) { return model_->metadata().cutoff; }

void PairMHDNN::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    const double cutoff = model_->metadata().cutoff;
    if (comm->nprocs > 1 && comm->get_comm_cutoff() < cutoff)
        error->all(
            FLERR,
            "pair_style mhdnn: communication cutoff {} A is below the model's cutoff {} A; increase it by "
            "`comm_modify cutoff`",
            comm->get_comm_cutoff(), cutoff);
    check_positions();
    if (neighbor->ago == 0) {
        surroundings_.check_pairs();
        surroundings_.check_list(*list);
    }
    neighborhood_.update(*list, *atom, *neighbor, cutoff);
    try {
        const bool watched = settings_.extrapolation != "off";
        model_->set_pairs(neighborhood_.pairs(), {is_marked(), has_grades()});
        const bool with_charges = model_->metadata().charges && has_centers();
        if (is_marked()) mark_outside();
        if (with_charges) {
            if (neighbor->ago == 0) follow_atoms();
            equilibrate();
        }
        if (watched) warn_of_extrapolation(with_charges ? of_centers(charge_of_atom_.data()) : std::vector<double>());
        if (has_grades()) forces_before_ = own_forces();
        short_range();
        if (with_charges) respond();
        check_forces();
        if (has_grades()) expect_errors();
    } catch (const LAMMPSException&) {
        throw;
    } catch (const std::exception& problem) {
        error->one(FLERR, "pair_style mhdnn: {}", problem.what());
    }
}

// Insertions may begin with an empty box.
bool PairMHDNN::has_centers() const {
    bigint own = neighborhood_.num_centers(), all = 0;
    MPI_Allreduce(&own, &all, 1, MPI_LMP_BIGINT, MPI_SUM, world);
    if (all == 0 && settings_.total_charge != 0.0)
        error->all(
            FLERR,
            "pair_style mhdnn: no atoms can't have a total charge of {} e; begin with atoms, or set "
            "`total_charge 0`",
            settings_.total_charge);
    return all > 0;
}

std::vector<double> PairMHDNN::of_nodes(const double* values) const {
    std::vector<double> result;
    for (const int index : neighborhood_.atoms()) result.push_back(values[index]);
    return result;
}

std::vector<double> PairMHDNN::of_centers(const double* values) const {
    std::vector<double> result = of_nodes(values);
    result.resize(neighborhood_.num_centers());
    return result;
}

// The history of charges goes along with the atoms, which have been sorted and sent to other processes.
void PairMHDNN::follow_atoms() {
    if (!atom->tag_enable) return charge_memory_.history.forget();
    std::vector<double> tags;
    for (int node = 0; node < neighborhood_.num_centers(); ++node)
        tags.push_back(static_cast<double>(atom->tag[neighborhood_.atoms()[node]]));
    mhdnn::follow_atoms(mhdnn::MPIProcesses(world, neighborhood_.num_centers()), tags, charge_memory_.history);
}

void PairMHDNN::equilibrate() {
    const int num_centers = neighborhood_.num_centers();
    mhdnn::Box box{
        {{domain->xprd, 0.0, 0.0}, {domain->xy, domain->yprd, 0.0}, {domain->xz, domain->yz, domain->zprd}},
        {domain->xperiodic != 0, domain->yperiodic != 0, domain->zperiodic != 0}};
    std::vector<double> positions, widths, hardness;
    for (int node = 0; node < num_centers; ++node) {
        const double* const x = atom->x[neighborhood_.atoms()[node]];
        positions.insert(positions.end(), x, x + 3);
        widths.push_back(model_->widths()[neighborhood_.pairs().element[node]]);
        hardness.push_back(model_->hardness()[neighborhood_.pairs().element[node]]);
    }
    std::vector<double> start;
    charge_of_atom_.resize(atom->nmax, 0.0);
    if (atom->q_flag) start = of_centers(atom->q);
    const double accuracy = settings_.accuracy > 0.0 ? settings_.accuracy : model_->metadata().accuracy;
    charges_ = std::make_unique<mhdnn::ChargeStep>(
        std::make_unique<mhdnn::MPIProcesses>(world, num_centers), box, positions, widths, hardness,
        mhdnn::ChargeSettings{accuracy, settings_.total_charge, settings_.solver_choice(), settings_.field},
        charge_memory_);
    const auto electronegativity = model_->electronegativity();
    check_finite("electronegativity", electronegativity);
    const auto charges = charges_->equilibrate(electronegativity, start);
    if (comm->me == 0) pvector[1] = charges_->iterations();
    check_finite("charge", charges);
    if (is_marked()) mark_outside(charges);
    buffer_.assign(atom->nmax, 0.0);
    for (int node = 0; node < num_centers; ++node) buffer_[neighborhood_.atoms()[node]] = charges[node];
    comm->forward_comm(this);
    charge_of_atom_ = buffer_;
    if (atom->q_flag)
        for (const int index : neighborhood_.atoms()) atom->q[index] = charge_of_atom_[index];
}

void PairMHDNN::short_range() {
    const bool with_charges = model_->metadata().charges;
    const auto charges = with_charges ? of_nodes(charge_of_atom_.data()) : std::vector<double>();
    add_energies(model_->energies(charges), eng_vdwl);
    if (!with_charges) {
        add_pair_forces({});
        return;
    }
    const auto gradient = model_->gradient_by_charge();
    buffer_.assign(atom->nmax, 0.0);
    for (std::size_t node = 0; node < gradient.size(); ++node) buffer_[neighborhood_.atoms()[node]] = gradient[node];
    comm->reverse_comm(this);
    gradient_by_charge_ = of_centers(buffer_.data());
}

void PairMHDNN::respond() {
    add_energies(charges_->energies(), eng_coul);
    const auto response = charges_->respond(gradient_by_charge_);
    add_pair_forces(response);
    add_charge_derivatives(charges_->derivatives(vflag_atom != 0));
}

void PairMHDNN::add_energies(const std::vector<double>& energies, double& total) {
    check_finite("energy", energies);
    for (std::size_t node = 0; node < energies.size(); ++node) {
        const double energy = energy_unit_ * energies[node];
        if (eflag_global) total += energy;
        if (eflag_atom) eatom[neighborhood_.atoms()[node]] += energy;
    }
}

// The static virial is -W (mhdnn/core/forces.h), its symmetric part.
void PairMHDNN::add_pair_forces(const std::vector<double>& response) {
    const int num_atoms = atom->nlocal + atom->nghost;
    std::vector<double> halves, of_neighbors;
    if (vflag_atom) halves.assign(9 * num_atoms, 0.0);
    if (cvflag_atom)
        of_neighbors.assign(9 * num_atoms, 0.0);  // the energy belongs to the centre, the work to the neighbour
    mhdnn::ForceSums sums;
    sums.atom_of_node = neighborhood_.atoms().data();
    sums.unit = energy_unit_;
    sums.forces = num_atoms ? &atom->f[0][0] : nullptr;
    sums.with_virial = vflag_either;
    if (vflag_atom) sums.halves = halves.data();
    if (cvflag_atom) sums.of_neighbors = of_neighbors.data();
    model_->add_forces(response, sums);
    const auto symmetric = [](const double* tensor, int c) {
        return 0.5 * (tensor[place_of[c]] + tensor[mirrored_place_of[c]]);
    };
    for (int i = 0; vflag_atom && i < num_atoms; ++i)
        for (int c = 0; c < 6; ++c) vatom[i][c] -= symmetric(&halves[9 * i], c);
    for (int i = 0; cvflag_atom && i < num_atoms; ++i)
        for (int c = 0; c < 9; ++c) cvatom[i][c] -= of_neighbors[9 * i + place_of[c]];
    for (int c = 0; vflag_global && c < 6; ++c) virial[c] -= symmetric(sums.virial, c);
}

void PairMHDNN::add_charge_derivatives(const mhdnn::Derivatives& derivatives) {
    for (int node = 0; node < neighborhood_.num_centers(); ++node) {
        const int i = neighborhood_.atoms()[node];
        for (int axis = 0; axis < 3; ++axis) atom->f[i][axis] -= energy_unit_ * derivatives.positions[3 * node + axis];
        if (vflag_atom)
            for (int c = 0; c < 6; ++c)
                vatom[i][c] -= energy_unit_ * derivatives.strain_per_atom[6 * node + voigt_of[c]];
    }
    // the same on all processes, and LAMMPS adds them up
    if (vflag_global && comm->me == 0)
        for (int c = 0; c < 6; ++c) virial[c] -= energy_unit_ * derivatives.strain[voigt_of[c]];
}
