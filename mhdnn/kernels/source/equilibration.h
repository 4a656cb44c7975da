// Charges of electronegativities that a network gives, and gradients by both.
#pragma once

#include "networks.h"
#include "structures.h"

namespace mhdnn {

inline at::Tensor as(const at::Tensor& example, const Values& values) {
    return tensor_of(values, {static_cast<std::int64_t>(values.size())}).to(example.scalar_type());
}

inline Values minus(Values values) {
    for (double& value : values) value = -value;
    return values;
}

// M q + µ = -χ, Σ q = t, with M = A + diag J.
struct Equilibration {
    networks::Network network;
    at::Tensor shift, raw_hardness;
    Handle structures;
    networks::Passed passed;
    Values totals, hardness, charges;

    Equilibration(networks::Network of, const networks::Tensors& given, Handle engine, double tolerance)
        : network(std::move(of)), shift(given[0]), raw_hardness(given[1]), structures(std::move(engine)),
          totals(values_of(given[2])) {
        const at::Tensor own = at::softplus(raw_hardness).to(at::kDouble);
        hardness = values_of(own.index_select(0, network.element));
        const at::Tensor chi = networks::energies(network, passed).add_(shift.index_select(0, network.element));
        for_each_structure(structures->batch, [&](std::int64_t structure) {
            structures->batch.make_solver(structure, hardness, tolerance);
        });
        charges = solved(minus(values_of(chi)), totals, false);
    }

    Values solved(const Values& right_side, const Values& sums, bool adjoint = true) const {
        Values x(right_side.size()), multiplier(sums.size());
        for_each_structure(structures->batch, [&](std::int64_t structure) {
            structures->batch.solve(structure, right_side, sums, hardness, adjoint, x, multiplier);
        });
        return x;
    }
    // M λ + ν = right_side, Σ λ = 0
    Values adjoint(const Values& right_side) const { return solved(right_side, Values(totals.size())); }

    // A p
    Values potential(const Values& p) const {
        Values result(p.size());
        for_each_structure(
            structures->batch, [&](std::int64_t structure) { structures->batch.potential(structure, p, result); });
        return result;
    }

    // Appends the gradients of shift and raw hardness.
    void append_own(const Values& by_chi, const Values& by_hardness, networks::variable_list& result) const {
        result.push_back(at::zeros_like(shift).index_add_(0, network.element, as(shift, by_chi)));
        const auto count = static_cast<std::int64_t>(by_hardness.size());
        const at::Tensor sums = at::zeros_like(raw_hardness, at::kDouble);
        const at::Tensor own = sums.index_add(0, network.element, tensor_of(by_hardness, {count}));
        result.push_back(own.to(raw_hardness.scalar_type()).mul_(at::sigmoid(raw_hardness)));
    }
};

}  // namespace mhdnn
