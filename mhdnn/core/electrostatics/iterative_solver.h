// Charge equilibration by projected preconditioned conjugate gradients.
//
// Residuals and search directions are projected onto charges that add up to zero, so that the sum stays as it is and
// the matrix has to be positive definite only there, as it is for slabs too (N. I. M. Gould, M. E. Hribar and
// J. Nocedal, SIAM J. Sci. Comput. 23, 1376 (2001), https://doi.org/10.1137/S1064827598345667).
#pragma once

#include <functional>
#include <vector>

#include "charge_system.h"
#include "solver.h"

namespace mhdnn::electrostatics {

// By conjugate gradients within the charges that add up to zero.
class IterativeSolver : public Solver {
public:
    using Product = std::function<std::vector<double>(const std::vector<double>&)>;  // of own atoms' values

    // product: A x of own atoms for x of all.
    IterativeSolver(
        Product product, std::vector<double> hardness_local, std::vector<Product> preconditioners, double tolerance,
        const Processes& processes);

    std::vector<double> solve(
        const std::vector<double>& right_side_local, double total, const double* start_all) override;
    int iterations() const override { return iterations_; }

private:
    std::vector<double> gather(const std::vector<double>& x) const;
    std::vector<double> multiply(const std::vector<double>& x) const;
    double sum(double value) const;
    double product_of(const std::vector<double>& a, const std::vector<double>& b) const;
    void shift_sum(std::vector<double>& x, double total) const;
    std::vector<double> residual_of(const std::vector<double>& right_side, const std::vector<double>& x) const;
    std::vector<double> iterate(
        std::vector<double> x, std::vector<double> residual, double target, const Product& preconditioner);

    Product product_;
    std::vector<double> hardness_;
    std::vector<Product> preconditioners_;
    double tolerance_;
    const Processes& processes_;
    int iterations_ = 0;
};

}  // namespace mhdnn::electrostatics
