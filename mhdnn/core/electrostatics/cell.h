// The periodic cell to sum over, and the wave vector zero that belongs to it: formulas in electrostatics/background.py
// and slab.py.
#pragma once

#include <vector>

#include "charge_system.h"
#include "motion.h"
#include "vectors.h"

namespace mhdnn::electrostatics {

// With two periodic directions the open cell vector is replaced by one along the normal that leaves vacuum.
struct Cell {
    Matrix3 vectors;
    bool slab = false;
    Vector3 normal = {0.0, 0.0, 0.0};  // of a slab
    double length = 0.0;               // of a slab's cell along the normal, Å
    double thickness = 0.0;            // of a slab, Å
    double vacuum = 0.0;               // of a slab: needed above it, Å
    double middle = 0.0;               // of a slab: height that background and Python count heights from, Å

    double volume() const;
    double height(const double* position) const;  // above the origin, Å
};

// Throws unless none, two or three directions are periodic and their vectors linearly independent.
void check_box(const Box& box);

// The box itself, or a slab's extended one.
Cell periodic_cell(const Box& box, const std::vector<double>& positions, double largest_width, double accuracy);

// Makes the matrix of a slab positive definite when added to its elements, eV/e²; 0 with three directions.
double convexity_constant(const Cell& cell, double largest_width);

// A_ij = -p [c + t_i + t_j - 2 z_i z_j], p = 2 π k_e/V.
class Background {
public:
    Background(
        const Cell& cell, const std::vector<double>& positions, const std::vector<double>& widths, double smearing);

    // All rows of its part of A q.
    std::vector<double> potential(const std::vector<double>& q) const;
    void add_to_matrix(double* matrix) const;
    // All rows of the derivative of its part of A q along a motion, at a fixed length of a slab's cell.
    std::vector<double> moved_potential(const Motion& motion, const std::vector<double>& q) const;
    // Parts of the derivatives of p A q. `strain` is of the whole, at a fixed length of a slab's cell; the
    // part of an atom as if that length were strained, too.
    void add_derivatives(
        const std::vector<double>& p, const std::vector<double>& q, const Processes& processes, Voigt& strain,
        Derivatives& result) const;

private:
    Vector3 normal_;
    bool slab_;
    double prefactor_, constant_, smearing_;
    std::vector<double> offset_, height_;
};

}  // namespace mhdnn::electrostatics
