// Charge equilibration of one geometry, spread over processes (`batch.h` has several geometries in one process).
//
// Charges q minimise q A q / 2 + q J q / 2 + χ q at a given sum; A is the Coulomb matrix of Gaussian charges with
// none, two or three periodic directions. The tests compare it with mhdnn/electrostatics/reference.py, which has the
// formulas with their sources. Units: Å, eV, e.
//
// Every process constructs the system and calls its functions together with the others. `local` marks values of
// a process's own atoms, `all` those of all atoms in the order of the processes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace mhdnn {

struct Box {
    double vectors[3][3];  // rows are the cell vectors; those of open directions are not used
    bool periodic[3];
};

// What is needed of parallel processes. This class is one process alone; a derived one talks to the others.
class Processes {
public:
    explicit Processes(std::int64_t num_atoms = 0) : num_local(num_atoms), num_atoms(num_atoms) {}
    virtual ~Processes() = default;
    // Element-wise sums over processes, in place; the same bits on all of them.
    virtual void sum(double* values, std::int64_t count) const;
    // Rows of all atoms from the own rows of each process.
    virtual void gather(const double* local, double* all, int width) const;
    // A block to each process from each process, one behind the other.
    virtual void exchange(
        const double* sent, const std::vector<std::int64_t>& sent_counts, double* received,
        const std::vector<std::int64_t>& received_counts) const;

    int rank = 0, size = 1;
    std::int64_t first = 0;  // own atoms are [first, first + num_local)
    std::int64_t num_local = 0, num_atoms = 0;
};

enum class SolverChoice { automatic, dense, iterative };

// Derivatives of p A q at fixed p and q. `strain` is the symmetric tensor D with d(p A q) = sum_ab D_ab dε_ab,
// elements xx yy zz yz xz xy, when positions and cell vectors are multiplied with 1 + ε: the same on all processes.
struct Derivatives {
    std::vector<double> positions;        // local, 3 numbers an atom
    std::array<double, 6> strain;         // of all atoms together
    std::vector<double> strain_per_atom;  // local, 6 numbers an atom; their sum over all atoms is `strain`
};

namespace electrostatics {
class CoulombMatrix;
class NeighborSearch;
class Solver;
}  // namespace electrostatics

// Errors are std::runtime_error with a sentence for the user, thrown by all processes together.
class ChargeSystem {
public:
    // positions: 3 numbers an atom, any periodic image. widths: Gaussian widths, Å. hardness: J, eV/e².
    // accuracy: of an element of A relative to the Coulomb constant over the splitting width, 1e-14 to 1e-2.
    // The search remembers what it found for the geometry before.
    ChargeSystem(
        const Box&, std::vector<double> positions_all, std::vector<double> widths_all, std::vector<double> hardness_all,
        double accuracy, SolverChoice, electrostatics::NeighborSearch&, const Processes&);
    ~ChargeSystem();

    // Finds the charges; `start_all` is a guess of them, or null. The electronegativity is in eV/e.
    void equilibrate(const double* electronegativity_local, double total_charge, const double* start_all);
    const std::vector<double>& charges() const { return charges_; }  // all
    // (A q) of own atoms, eV/e.
    const std::vector<double>& potential_local() const { return potential_; }
    // Adjoint charges λ of all atoms: (A + J) λ + µ = -gradient, with the sum zero; `start_all` as above. Iterations
    // end at the residual of the charges at the latest: forces need charges and adjoint charges equally exact.
    std::vector<double> adjoint(const double* gradient_local, const double* start_all = nullptr);
    // Derivatives of p A q, and their strain split over atoms if asked for.
    Derivatives derivatives(const std::vector<double>& p_all, const std::vector<double>& q_all, bool per_atom) const;
    // Of the last solution; 0 of the dense solver.
    int iterations() const;

private:
    std::vector<double> local(const std::vector<double>& all) const;
    std::vector<double> solve(
        const char* name, const double* values_local, double total, const double* start_all, double sufficient);

    const Processes& processes_;  // must outlive the system
    std::unique_ptr<electrostatics::CoulombMatrix> matrix_;
    std::unique_ptr<electrostatics::Solver> solver_;
    std::vector<double> charges_, potential_;
    double residual_of_charges_ = 0.0;
};

}  // namespace mhdnn
