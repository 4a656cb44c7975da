// Electrostatics of a batch of structures by the core, as a class of TorchScript whose results are differentiable.
//
// With A the Coulomb matrix, M = A + diag J, and positions and strain R, all in the graph of derivatives:
//
//     potential(q; R) = A q
//       its vjp with h:  potential(h; R), form(h, q; R)
//     form(p, q; R) = ∂(p A q)/∂R
//       its vjp with R':  (∂A/∂R R') q, (∂A/∂R R') p; none by R
//     solve(b, t, J; R) = x, µ of M x + µ = b, Σ x = t
//       its vjp with (x', µ'):  (λ, ν) = solve(x', µ', J; R), -λ x by J, -form(λ, x; R)
//
// which is what training on forces needs. Positions and strain are arguments for their gradients alone: the geometry is
// that of the constructor, and the strain is zero.
#include <torch/csrc/autograd/custom_function.h>

#include "electrostatics/history.h"
#include "operators_kept.h"
#include "structures.h"

namespace mhdnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
Box box_of(const double* vectors, const bool* periodic) {
    Box box;
    for (int axis = 0; axis < 3; ++axis) {
        std::copy_n(vectors + 3 * axis, 3, box.vectors[axis]);
        box.periodic[axis] = periodic[axis];
    }
    return box;
}

class NoThirdDerivative : public torch::autograd::Function<NoThirdDerivative> {
public:
    static variable_list forward(
        AutogradContext*, const at::Tensor& p, const at::Tensor& q, const at::Tensor& displacements,
        const at::Tensor& strain, const Handle& handle) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const Values left = values_of(p), right = values_of(q), moved = values_of(displacements),
                     strained = values_of(strain);
        Values by_left(left.size()), by_right(left.size());
        for_each_structure(handle->batch, [&](std::int64_t structure) {
            handle->batch.moved_products(structure, moved, strained, left, right, by_left, by_right);
        });
        return {tensor_of(by_left, p.sizes()), tensor_of(by_right, q.sizes())};
    }

    static variable_list backward(AutogradContext*, const variable_list&) {
        TORCH_CHECK_NOT_IMPLEMENTED(
            false,
            "electrostatics can be differentiated twice, a third derivative was asked for; with MHDNN_KERNELS=torch "
            "every "
            "derivative exists");
        return {};
    }
};

class Form : public torch::autograd::Function<Form> {
public:
    static variable_list forward(
        AutogradContext* context, const at::Tensor& p, const at::Tensor& q, const at::Tensor& positions,
        const at::Tensor& strain, const Handle& handle) {
        at::AutoDispatchBelowADInplaceOrView guard;
        context->save_for_backward({p, q});
        context->saved_data["structures"] = handle;
        const Values left = values_of(p), right = values_of(q);
        Values by_positions(3 * left.size()), by_strain(9 * handle->batch.num_structures());
        for_each_structure(handle->batch, [&](std::int64_t structure) {
            handle->batch.derivatives(structure, left, right, by_positions, by_strain);
        });
        return {tensor_of(by_positions, positions.sizes()), tensor_of(by_strain, strain.sizes())};
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        TORCH_CHECK_NOT_IMPLEMENTED(
            !context->needs_input_grad(2) && !context->needs_input_grad(3),
            "the derivatives of electrostatics by positions and strain can be differentiated by charges, "
            "electronegativities and hardness, not by positions and strain again; with MHDNN_KERNELS=torch every "
            "derivative exists");
        const auto saved = context->get_saved_variables();
        const auto handle = context->saved_data["structures"].toCustomClass<Structures>();
        const auto found = NoThirdDerivative::apply(
            saved[0], saved[1], defined_or_zero(gradients[0], {saved[0].size(0), 3}),
            defined_or_zero(gradients[1], {handle->batch.num_structures(), 3, 3}), handle);
        return {found[0], found[1], {}, {}, {}};
    }
};

class Potential : public torch::autograd::Function<Potential> {
public:
    static at::Tensor forward(
        AutogradContext* context, const at::Tensor& q, const at::Tensor& positions, const at::Tensor& strain,
        const Handle& handle) {
        at::AutoDispatchBelowADInplaceOrView guard;
        context->save_for_backward({q, positions, strain});
        context->saved_data["structures"] = handle;
        const Values charges = values_of(q);
        Values result(charges.size());
        for_each_structure(
            handle->batch, [&](std::int64_t structure) { handle->batch.potential(structure, charges, result); });
        return tensor_of(result, q.sizes());
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const auto saved = context->get_saved_variables();
        const auto handle = context->saved_data["structures"].toCustomClass<Structures>();
        at::Tensor by_charges;
        if (context->needs_input_grad(0)) by_charges = apply(gradients[0], saved[1], saved[2], handle);
        if (!context->needs_input_grad(1) && !context->needs_input_grad(2)) return {by_charges, {}, {}, {}};
        const auto form = Form::apply(gradients[0], saved[0], saved[1], saved[2], handle);
        return {by_charges, form[0], form[1], {}};
    }
};

class Solve : public torch::autograd::Function<Solve> {
public:
    static variable_list forward(
        AutogradContext* context, const at::Tensor& right_side, const at::Tensor& totals, const at::Tensor& hardness,
        const at::Tensor& positions, const at::Tensor& strain, const Handle& handle, bool adjoint) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const Values b = values_of(right_side), t = values_of(totals), j = values_of(hardness);
        Values x(b.size()), multiplier(t.size());
        for_each_structure(handle->batch, [&](std::int64_t structure) {
            handle->batch.solve(structure, b, t, j, adjoint, x, multiplier);
        });
        const variable_list result = {tensor_of(x, right_side.sizes()), tensor_of(multiplier, totals.sizes())};
        context->save_for_backward({result[0], hardness, positions, strain});
        context->saved_data["structures"] = handle;
        return result;
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const auto saved = context->get_saved_variables();
        const at::Tensor &x = saved[0], &hardness = saved[1];
        const auto handle = context->saved_data["structures"].toCustomClass<Structures>();
        const auto solved = apply(
            defined_or_zero(gradients[0], x.sizes()), defined_or_zero(gradients[1], {handle->batch.num_structures()}),
            hardness, saved[2], saved[3], handle, true);
        at::Tensor by_hardness, by_positions, by_strain;
        if (context->needs_input_grad(2)) by_hardness = at::neg(at::mul(solved[0], x));
        if (context->needs_input_grad(3) || context->needs_input_grad(4)) {
            const auto form = Form::apply(at::neg(solved[0]), x, saved[2], saved[3], handle);
            by_positions = form[0];
            by_strain = form[1];
        }
        return {solved[0], solved[1], by_hardness, by_positions, by_strain, {}, {}};
    }
};

// Guesses of the charges of one structure from those of the steps before.
struct History : torch::CustomClassHolder {
    ChargeHistory steps;

    // Rows of charges and adjoint charges; none without a past.
    at::Tensor predict(const at::Tensor& cell, const at::Tensor& periodic, const at::Tensor& positions) {
        steps.predict(
            box_of(values_of(cell).data(), periodic.contiguous().const_data_ptr<bool>()), values_of(positions));
        Values both = steps.charges();
        const auto count = static_cast<std::int64_t>(both.size());
        const Values adjoint = steps.adjoint();
        both.insert(both.end(), adjoint.begin(), adjoint.end());
        return tensor_of(both, {count > 0 ? 2 : 0, count});
    }
};

Handle make_structures(
    const at::Tensor& positions, const at::Tensor& cell, const at::Tensor& periodic, const at::Tensor& counts,
    const at::Tensor& widths, double accuracy, std::int64_t solver, double smearing) {
    const Values places = values_of(positions), vectors = values_of(cell), spread = values_of(widths);
    const at::Tensor flags = periodic.to(at::kBool).contiguous(), numbers = counts.to(at::kLong).contiguous();
    const auto* const count = numbers.const_data_ptr<std::int64_t>();
    Batch batch(std::vector<std::int64_t>(count, count + numbers.numel()));
    const electrostatics::BatchSettings settings{accuracy, static_cast<SolverChoice>(solver), smearing};
    for_each_structure(batch, [&](std::int64_t structure) {
        const Box box = box_of(&vectors[9 * structure], flags.const_data_ptr<bool>() + 3 * structure);
        batch.build(structure, box, places, spread, settings);
    });
    return c10::make_intrusive<Structures>(std::move(batch));
}

at::Tensor potential(
    const Handle& self, const at::Tensor& charges, const at::Tensor& positions, const at::Tensor& strain) {
    return Potential::apply(charges, positions, strain, self);
}

at::Tensor equilibrate(
    const Handle& self, const at::Tensor& electronegativity, const at::Tensor& totals, const at::Tensor& hardness,
    const at::Tensor& positions, const at::Tensor& strain, double tolerance) {
    const Values values = values_of(hardness);
    for_each_structure(
        self->batch, [&](std::int64_t structure) { self->batch.make_solver(structure, values, tolerance); });
    return Solve::apply(at::neg(electronegativity), totals, hardness, positions, strain, self, false)[0];
}

void start_from(
    const Handle& self, const std::optional<at::Tensor>& charges, const std::optional<at::Tensor>& adjoint) {
    self->batch.start_from(charges ? values_of(*charges) : Values(), adjoint ? values_of(*adjoint) : Values());
}

// One of the structures alone, and several batches as one; what was built is shared.
Handle part(const Handle& self, std::int64_t structure) {
    const std::vector<std::pair<const Batch*, std::int64_t>> chosen = {{&self->batch, structure}};
    return c10::make_intrusive<Structures>(Batch(chosen));
}

Handle together(const Handle& self, const std::vector<Handle>& others) {
    std::vector<std::pair<const Batch*, std::int64_t>> chosen;
    const auto choose = [&chosen](const Handle& handle) {
        for (std::int64_t structure = 0; structure < handle->batch.num_structures(); ++structure)
            chosen.emplace_back(&handle->batch, structure);
    };
    choose(self);
    for (const Handle& other : others) choose(other);
    return c10::make_intrusive<Structures>(Batch(chosen));
}

at::Tensor strain_per_atom(const Handle& self, const at::Tensor& p, const at::Tensor& q) {
    const Values left = values_of(p), right = values_of(q);
    Values result(6 * left.size());
    for_each_structure(
        self->batch, [&](std::int64_t structure) { self->batch.strain_per_atom(structure, left, right, result); });
    return tensor_of(result, {p.size(0), 6});
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(mhdnn, library) {
    library.class_<Structures>("Structures")
        .def(torch::init(&make_structures))
        .def("potential", &potential)
        .def("equilibrate", &equilibrate)
        .def("start_from", &start_from)
        .def("part", &part)
        .def("together", &together)
        .def(
            "num_bytes",
            [](const Handle& self) {
                std::int64_t sum = 0;
                for (std::int64_t structure = 0; structure < self->batch.num_structures(); ++structure)
                    sum += self->batch.num_bytes(structure);
                return sum;
            })
        .def("strain_per_atom", &strain_per_atom)
        .def(
            "adjoint",
            [](const Handle& self) { return tensor_of(self->batch.last_adjoint(), {self->batch.num_atoms()}); })
        .def("iterations", [](const Handle& self) { return self->batch.iterations(); });
    library.def("kept_charges", &kept_charges);  // here, where the class is known
    library.def("kept_prediction", &kept_prediction);
    library.class_<History>("ChargeHistory")
        .def(torch::init<>())
        .def("predict", &History::predict)
        .def("forget", [](const c10::intrusive_ptr<History>& self) { self->steps.forget(); })
        .def(
            "add", [](const c10::intrusive_ptr<History>& self, const at::Tensor& positions, const at::Tensor& charges,
                      const at::Tensor& adjoint) {
                self->steps.add(values_of(positions), values_of(charges), values_of(adjoint));
            });
}

}  // namespace mhdnn
