// The model file in C++: its metadata, and one evaluation step by step. Neither LAMMPS nor torch is seen from here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mhdnn {

// What a model file says of itself.
struct Metadata {
  int format_version = 0;
  std::string mhdnn_version, dtype, operator_library;
  std::string dispersion_left_out;  // correction that is to be added, as in `d3 bj pbe`; empty: none
  std::vector<std::string> elements;
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
};

// Atoms that the model sees: centres first, then those that are neighbours only.
struct Pairs {
  std::int64_t num_centers = 0;
  std::vector<std::int64_t> element;   // of every atom: its place in Metadata::elements
  std::vector<std::int64_t> center;    // of every pair, ascending
  std::vector<std::int64_t> neighbor;  // of every pair
  std::vector<double> vectors;         // from centre to neighbour, 3 numbers a pair, Å

  std::int64_t num_atoms() const { return static_cast<std::int64_t>(element.size()); }
  std::int64_t num_pairs() const { return static_cast<std::int64_t>(center.size()); }
};

// Errors are std::runtime_error with a sentence for the user.
class Model {
 public:
  // device: cpu or cuda; dtype: float32, float64, or model for that of the file
  Model(const std::string &path, const std::string &device, const std::string &dtype);
  ~Model();

  const Metadata &metadata() const;
  const std::vector<double> &hardness() const;  // J of the elements, eV/e²; with charges
  const std::vector<double> &widths() const;    // s of the elements, Å; with charges

  // Symmetry functions of the centres; what follows belongs to these pairs, which must stay as they are.
  void set_pairs(const Pairs &pairs);
  // Whether each centre is outside the training data (mhdnn/domain.py): by its functions and distances, or, with charges
  // of the centres, by those, added to what was found before.
  const std::vector<char> &mark_outside(const std::vector<double> &charges = {});
  // Why a marked centre is outside, in words.
  std::string why_outside(std::int64_t center, const std::vector<double> &charges = {}) const;
  // In words what is outside of the total charge of a system, e; empty if nothing is.
  std::string total_charge_outside(double total_charge) const;
  // Whether the file has ranges for each element, with distances and charges.
  bool knows_training_domain() const;
  const ErrorModel &error_model() const;
  // Rigidity grade and excess of each centre, two numbers a centre.
  std::vector<double> grades() const;
  // Electronegativity of the centres, eV/e.
  std::vector<double> electronegativity();
  // Short-range energies of the centres, eV, at the charges of all atoms (empty without charges).
  std::vector<double> energies(const std::vector<double> &charges);
  // Derivative of their sum by the charges of all atoms, eV/e.
  std::vector<double> gradient_by_charge() const;
  // Derivative of the sum of energies, plus that of electronegativities times `response` (of the centres; empty
  // without charges), by the pair vectors, 3 numbers a pair, eV/Å; valid until the next call.
  const double *gradient_by_vector(const std::vector<double> &response);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace mhdnn
