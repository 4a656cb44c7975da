// Invariants of the moments of a group of atoms on the CPU.
#pragma once

#include <algorithm>
#include <vector>

#include "../couplings.h"
#include "../invariants.h"
#include "rows.h"

namespace mhdnn::cpu {

template <class Real>
class InvariantKernel {
public:
    using T = Scalar<Real>;

    explicit InvariantKernel(const InvariantShape& shape)
        : shape_(shape), moments_(shape.num_moments()), coupled_(shape.four_body.num_values),
          by_coupled_(coupled_.size()) {}

    /// To be filled before the rest is called.
    Real* moments() { return moments_.data(); }

    /// The first step of functions and gradients.
    void couple() {
        for_each_coupled([&](int value, int row, int place) {
            coupled_[value] = coupled_value(shape_.four_body, view(), row, place);
        });
    }

    void functions(Lanes<T>* functions) const {
        const MomentShape pairs = shape_.pairs();
        for (int p = 0; p < shape_.num_densities; ++p) {
            for (int q = p; q < shape_.num_densities; ++q) {
                Lanes<T>* out = functions + pairs.pair(p, q) * pairs.num_degrees();
                for (int l = 0; l <= shape_.max_degree; ++l) {
                    out[l] = result(moment_product(pairs, moments_.data(), constant<Real>(T(0)), p, q, l));
                }
            }
        }
        const FourBodyShape& four_body = shape_.four_body;
        for (int row = 0; row < four_body.num_rows; ++row) {
            const CoupledRow& r = four_body.rows[row];
            Lanes<T>* out = functions + shape_.num_three_body() + r.first_function;
            for (int third = r.first_third; third < four_body.num_densities; ++third) {
                *out++ = result(four_body_function(four_body, view(), coupled_.data(), row, third));
            }
        }
    }

    void gradients(const Lanes<T>* cotangent, Lanes<T>* moment_gradient) {
        const Lanes<T>* of_four_body = cotangent + shape_.num_three_body();
        for_each_coupled([&](int value, int row, int place) {
            by_coupled_[value] = coupled_gradient(shape_.four_body, view(), of_four_body, row, place);
        });
        for (int n = 0; n < shape_.num_densities; ++n) {
            for (int l = 0; l <= shape_.max_degree; ++l) {
                for (int component = l * l; component < (l + 1) * (l + 1); ++component) {
                    *moment_gradient++ = result(invariant_gradient(
                        shape_, moments_.data(), coupled_.data(), by_coupled_.data(), cotangent, n, component, l));
                }
            }
        }
    }

private:
    Moments<Real> view() const { return {moments_.data(), shape_.num_harmonics()}; }

    template <class Action>
    void for_each_coupled(Action action) const {
        const FourBodyShape& four_body = shape_.four_body;
        for (int row = 0; row < four_body.num_rows; ++row) {
            for (int place = 0; place < four_body.num_places(row); ++place) {
                action(four_body.rows[row].first_value + place, row, place);
            }
        }
    }

    InvariantShape shape_;
    std::vector<Real> moments_, coupled_, by_coupled_;
};

/// Groups first ... last - 1 of the atoms. Real is Lanes<T>, or Dual<Lanes<T>> for derivatives along the tangents.
template <class Real, class T>
void evaluate_invariants(
    const InvariantShape& shape, const InvariantArguments<T>& arguments, std::int64_t first, std::int64_t last) {
    constexpr int width = Lanes<T>::width;
    InvariantKernel<Real> kernel(shape);
    const int num_functions = shape.num_functions(), num_moments = shape.num_moments();
    std::vector<Lanes<T>> functions(num_functions), cotangent(num_functions), values(num_moments),
        tangents(num_moments);
    for (std::int64_t group = first; group < last; ++group) {
        std::int64_t atoms[width];
        const int count = int(std::min<std::int64_t>(width, arguments.num_atoms - group * width));
        for (int lane = 0; lane < count; ++lane) atoms[lane] = group * width + lane;
        load_rows(arguments.moments, num_moments, atoms, count, values.data());
        if (has_tangent<Real>) load_rows(arguments.moment_tangents, num_moments, atoms, count, tangents.data());
        for (int i = 0; i < num_moments; ++i) kernel.moments()[i] = with_tangent<Real>(values[i], tangents[i]);
        kernel.couple();
        if (arguments.functions != nullptr) {
            kernel.functions(functions.data());
            store_rows(functions.data(), num_functions, atoms, count, arguments.functions);
        }
        if (arguments.cotangent != nullptr) {
            load_rows(arguments.cotangent, num_functions, atoms, count, cotangent.data());
            kernel.gradients(cotangent.data(), values.data());
            store_rows(values.data(), num_moments, atoms, count, arguments.moment_gradient);
        }
    }
}

}  // namespace mhdnn::cpu
