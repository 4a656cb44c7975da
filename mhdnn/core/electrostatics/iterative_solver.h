// Charge equilibration by projected preconditioned conjugate gradients.
//
// Residuals and search directions are projected onto charges that add up to zero, so that the sum stays as it is and
// the matrix has to be positive definite only there, as it is for slabs too (N. I. M. Gould, M. E. Hribar and
// J. Nocedal, SIAM J. Sci. Comput. 23, 1376 (2001), https://doi.org/10.1137/S1064827598345667).
//
// Vectors of the iteration are those of all atoms on every process: for a few numbers of each atom that costs less than
// it takes processes to wait for each other. They do so in the product only.
#pragma once

#include <functional>
#include <vector>

#include "solver.h"

namespace mhdnn::electrostatics {

// By conjugate gradients within the charges that add up to zero.
class IterativeSolver : public Solver {
public:
    using Vector = std::vector<double>;
    // A x, both of all atoms.
    using Product = std::function<Vector(const Vector&)>;
    // An approximate inverse of A + J times a residual, both of all atoms.
    using Preconditioner = std::function<Vector(const Vector&)>;

    IterativeSolver(
        Product product, Vector hardness_all, std::vector<Preconditioner> preconditioners, double tolerance);

    Vector solve(const Vector& right_side_all, double total, const double* start_all, double sufficient) override;
    const Vector* product() const override { return &product_of_x_; }
    int iterations() const override { return iterations_; }
    double target() const override { return target_; }

private:
    Vector residual_of(const Vector& right_side, const Vector& x);
    void iterate(Vector& x, Vector& residual, const Preconditioner& preconditioner);

    Product product_;
    Vector hardness_, product_of_x_;  // the latter: A times the last x
    std::vector<Preconditioner> preconditioners_;
    double tolerance_, target_ = 0.0, drift_ = 0.0;
    int iterations_ = 0;
};

}  // namespace mhdnn::electrostatics
