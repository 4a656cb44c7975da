// A model: its metadata, and one evaluation step by step. Neither LAMMPS nor torch nor MPI is seen from here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "forces.h"
#include "pairs.h"

namespace mhdnn {

// What a model file says of itself.
struct Metadata {
    std::string mhdnn_version, dtype;
    std::string dispersion_left_out;  // correction that is to be added, as in `d3 bj pbe`; empty: none
    std::vector<std::string> elements;
    std::vector<int> atomic_numbers;
    std::vector<double> reference_energies;  // of the elements, eV
    double cutoff = 0.0;                     // Å
    double accuracy = 0.0;                   // relative, of sums over periodic images; 0 without charges
    bool charges = false;
};

// What a model file says of its errors (mhdnn/uncertainty/model.py).
struct ErrorModel {
    std::vector<double> offset, least_error;  // of the elements; empty: nothing is known
    std::vector<double> weights;
    double force_floor = 0.0, largest_error = 0.0;  // eV/Å
    double outside_factor = 0.0;
    // as here: of older versions, where the excess of the atom alone counts
    double alone = 0.0, foreign_from = 1.0, steepness = 0.0;
};

// What is computed beside energies and forces.
struct Wanted {
    bool marks = true;   // of centres outside the training data
    bool grades = true;  // of rigidity, if the model knows its errors
    bool sums = false;   // of scaled functions
};

// Errors are std::runtime_error with a sentence for the user.
class Model {
public:
    virtual ~Model() = default;

    const Metadata& metadata() const { return metadata_; }
    const std::vector<double>& hardness() const { return hardness_; }  // J of the elements, eV/e²; with charges
    const std::vector<double>& widths() const { return widths_; }      // s of the elements, Å; with charges
    const ErrorModel& error_model() const { return error_model_; }
    // What does the work, in words.
    virtual std::string engine() const = 0;

    // Symmetry functions of the centres; what follows belongs to these pairs, which must stay as they are.
    virtual void set_pairs(const Pairs& pairs, Wanted wanted) = 0;
    // Whether each centre is outside the training data (mhdnn/domain.py): by its functions and distances, or, with
    // charges of the centres, by those, added to what was found before.
    virtual const std::vector<char>& mark_outside(const std::vector<double>& charges = {}) = 0;
    // Why a marked centre is outside, in words.
    virtual std::string why_outside(std::int64_t center, const std::vector<double>& charges = {}) const = 0;
    // In words what is outside of the total charge of a system, e; empty if nothing is.
    virtual std::string total_charge_outside(double total_charge) const = 0;
    // Whether the file has ranges for each element, with distances and charges.
    virtual bool knows_training_domain() const = 0;
    // Grade and excess of each centre, two numbers a centre.
    virtual std::vector<double> grades() const = 0;
    // Sums of the scaled functions over the centres of each element, those of one element after the other; of the plain
    // model only.
    virtual std::vector<double> function_sums() const { return {}; }
    virtual int num_functions() const { return 0; }
    // Electronegativity of the centres, eV/e.
    virtual std::vector<double> electronegativity() = 0;
    // Short-range energies of the centres, eV, at the charges of all atoms (empty without charges).
    virtual std::vector<double> energies(const std::vector<double>& charges) = 0;
    // Derivative of their sum by the charges of all atoms, eV/e.
    virtual std::vector<double> gradient_by_charge() const = 0;
    // Forces and virials of the sum of energies, plus that of electronegativities times `response` (of the centres;
    // empty without charges).
    virtual void add_forces(const std::vector<double>& response, ForceSums& sums) = 0;

protected:
    Metadata metadata_;
    std::vector<double> hardness_, widths_;
    ErrorModel error_model_;
};

// Without libtorch, on the CPU. content: of the file, which the path names in errors; dtype: float32, float64, or model
// for that of the file.
std::unique_ptr<Model> open_plain_model(const std::string& content, const std::string& path, const std::string& dtype);

}  // namespace mhdnn
