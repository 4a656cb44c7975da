// Spherical harmonics of a neighbour, by one thread.
#pragma once

#include "../harmonics.h"
#include "block.cuh"

namespace mhdnn::cuda {

/// Up to this degree the factors of a thread's neighbour stay in registers.
constexpr int degree_in_registers = 6;

/// Coefficients of a block and what is computed with them.
template <class Real>
class Harmonics {
public:
    using T = Scalar<Real>;

    MHDNN_FUNCTION Harmonics(int max_degree, Memory& memory)
        : max_degree_(max_degree), coefficients_(memory.take<HarmonicCoefficient<T>>(triangle_size(max_degree))) {}

    MHDNN_DEVICE void prepare() {
        share((max_degree_ + 1) * (max_degree_ + 1), [&](int i) {
            const int l = i / (max_degree_ + 1), m = i % (max_degree_ + 1);
            if (m <= l) coefficients_[triangle_index(l, m)] = harmonic_coefficient<T>(l, m);
        });
    }

    /// Numbers of working space for each neighbour.
    MHDNN_FUNCTION int space() const {
        return max_degree_ <= degree_in_registers ? 0 : triangle_size(max_degree_) + 2 * (max_degree_ + 1);
    }

    MHDNN_DEVICE void values(const Direction<Real>& u, Real* space, Real* values) const {
        with_factors(
            u, space, [&](int max_degree, HarmonicFactors<Real> factors) { harmonics(max_degree, factors, values); });
    }

    /// Sum of weight_lm times the gradient of Y_lm by the direction.
    MHDNN_DEVICE void gradient(
        const Direction<Real>& u, Real* space, const Real* weight, Real& by_x, Real& by_y, Real& by_z) const {
        with_factors(u, space, [&](int max_degree, HarmonicFactors<Real> factors) {
            harmonics_gradient(coefficients_, max_degree, factors, weight, by_x, by_y, by_z);
        });
    }

private:
    template <class Action>
    MHDNN_DEVICE void with_factors(const Direction<Real>& u, Real* space, Action action) const {
        switch (max_degree_) {
            case 0:
                return in_registers<0>(u, action);
            case 1:
                return in_registers<1>(u, action);
            case 2:
                return in_registers<2>(u, action);
            case 3:
                return in_registers<3>(u, action);
            case 4:
                return in_registers<4>(u, action);
            case 5:
                return in_registers<5>(u, action);
            case 6:
                return in_registers<6>(u, action);
            default:
                Real* cosine = space + triangle_size(max_degree_);
                return evaluate(max_degree_, u, {space, cosine, cosine + max_degree_ + 1}, action);
        }
    }

    template <int max_degree, class Action>
    MHDNN_DEVICE void in_registers(const Direction<Real>& u, Action action) const {
        static_assert(max_degree <= degree_in_registers, "the others have space");
        Real q[triangle_size(max_degree)], cosine[max_degree + 1], sine[max_degree + 1];
        evaluate(max_degree, u, {q, cosine, sine}, action);
    }

    template <class Action>
    MHDNN_DEVICE void evaluate(
        int max_degree, const Direction<Real>& u, HarmonicFactors<Real> factors, Action action) const {
        harmonic_factors(coefficients_, max_degree, u.x, u.y, u.z, factors);
        action(max_degree, factors);
    }

    int max_degree_;
    HarmonicCoefficient<T>* coefficients_;
};

}  // namespace mhdnn::cuda
