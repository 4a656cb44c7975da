// pair_style mhdnn: potentials of mhdnn in LAMMPS, short-ranged or with charge equilibration, on any number of
// processes.
#ifdef PAIR_CLASS
// clang-format off
PairStyle(mhdnn,PairMHDNN);
// clang-format on
#else
// LAMMPS includes this file twice, which a `pragma once` would prevent
#ifndef LMP_PAIR_MHDNN_H
#define LMP_PAIR_MHDNN_H

#include <memory>
#include <string>
#include <vector>

#include "charge_step.h"
#include "model.h"
#include "neighborhood.h"
#include "pair.h"
#include "pair_settings.h"
#include "surroundings.h"

namespace LAMMPS_NS {

class PairMHDNN : public Pair {
public:
    explicit PairMHDNN(LAMMPS*);
    ~PairMHDNN() override;

    void settings(int, char**) override;
    void coeff(int, char**) override;
    void init_style() override;
    double init_one(int, int) override;
    void compute(int, int) override;

    int pack_forward_comm(int, int*, double*, int, int*) override;
    void unpack_forward_comm(int, int, double*) override;
    int pack_reverse_comm(int, int, double*) override;
    void unpack_reverse_comm(int, int*, double*) override;
    void* extract_peratom(const char*, int&) override;
    double memory_usage() override;

private:
    void allocate();
    void read_model(const char* path);
    void check_settings() const;
    void map_elements();
    void print_model() const;
    void warn_of_dispersion() const;
    bool has_centers() const;
    void check_positions() const;
    void check_forces() const;
    void check_finite(const char* what, const std::vector<double>& of_centers) const;
    void check_total_charge();
    bool is_marked() const;
    void mark_outside(const std::vector<double>& charges = {});
    void warn_of_extrapolation(const std::vector<double>& charges);
    std::string why_first_outside(const std::vector<double>& charges) const;
    bool has_grades() const;
    void expect_errors();
    std::vector<double> own_forces();
    void check_grades();
    void dump_structure(double largest);
    void append_in_turn(std::string lines);
    void follow_atoms();
    void equilibrate();
    void short_range();
    void respond();
    void add_pair_forces(const std::vector<double>& response);
    void add_charge_derivatives(const mhdnn::Derivatives&);
    void add_energies(const std::vector<double>& energies, double& total);
    std::vector<double> of_nodes(const double* values) const;
    std::vector<double> of_centers(const double* values) const;

    mhdnn::PairSettings settings_, opened_with_;
    double energy_unit_ = 1.0;  // eV in the units of the run
    std::unique_ptr<mhdnn::Model> model_;
    mhdnn::Neighborhood neighborhood_;
    mhdnn::Surroundings surroundings_;
    std::unique_ptr<mhdnn::ChargeStep> charges_;
    mhdnn::ChargeMemory charge_memory_;
    std::vector<double> charge_of_atom_;  // of every atom in LAMMPS's numbering, e
    std::vector<double> buffer_;          // of every atom, `width_` numbers: what is communicated
    int width_ = 1;
    std::vector<double> forces_before_;  // of every atom: those of other styles
    std::vector<double> grade_of_atom_;  // of every atom: expected error of its force, eV/Å
    std::vector<double> gradient_by_charge_;
    std::vector<char> outside_;  // of the centres: whether they are outside the training data
    bigint num_outside_ = 0;     // of all processes
    bigint num_extrapolating_steps_ = 0, next_warning_ = 1;
    bool told_of_total_charge_ = false;
    bigint num_uncertain_steps_ = 0, next_uncertain_warning_ = 1, next_dump_ = 0;
};

}  // namespace LAMMPS_NS

#endif
#endif
