// Schema, shapes without data and derivatives of the operator density_invariants, as those of operators.cpp.
#include <torch/csrc/autograd/custom_function.h>

#include "operators_contracted.h"

namespace mhdnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Two = std::tuple<at::Tensor, at::Tensor>;

template <class Result, class... Leading>
Result call(const char* name, const InvariantInputs& in, const Leading&... leading) {
    using Signature = Result(const Leading&..., const at::Tensor&, std::int64_t, std::int64_t);
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>().call(
        leading..., in.moments, in.four_body_degree, in.four_body_densities);
}

void save(AutogradContext* context, const InvariantInputs& in, const at::Tensor& cotangent) {
    context->save_for_backward({in.moments, cotangent});
    context->saved_data["four_body_degree"] = in.four_body_degree;
    context->saved_data["four_body_densities"] = in.four_body_densities;
}

InvariantInputs saved_inputs(AutogradContext* context, const variable_list& saved) {
    return {
        saved[0], context->saved_data["four_body_degree"].toInt(), context->saved_data["four_body_densities"].toInt()};
}

class InvariantsVjp : public torch::autograd::Function<InvariantsVjp> {
public:
    static at::Tensor forward(
        AutogradContext* context, const at::Tensor& cotangent, const at::Tensor&, const InvariantInputs& in) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(context, in, cotangent);
        return call<at::Tensor>("mhdnn::density_invariants_vjp", in, cotangent);
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const auto saved = context->get_saved_variables();
        const auto [by_cotangent, by_moments] =
            call<Two>("mhdnn::density_invariants_vjp_tangent", saved_inputs(context, saved), saved[1], gradients[0]);
        return {by_cotangent, by_moments, {}};
    }
};

class DensityInvariants : public torch::autograd::Function<DensityInvariants> {
public:
    static at::Tensor forward(AutogradContext* context, const at::Tensor&, const InvariantInputs& in) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(context, in, {});
        return call<at::Tensor>("mhdnn::density_invariants", in);
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const auto saved = context->get_saved_variables();
        return {call<at::Tensor>("mhdnn::density_invariants_vjp", saved_inputs(context, saved), gradients[0]), {}};
    }
};

class NoThirdDerivative : public torch::autograd::Function<NoThirdDerivative> {
public:
    static variable_list forward(
        AutogradContext*, const at::Tensor& cotangent, const at::Tensor& tangents, const at::Tensor&,
        const InvariantInputs& in) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const auto [a, b] = call<Two>("mhdnn::density_invariants_vjp_tangent", in, cotangent, tangents);
        return {a, b};
    }

    static variable_list backward(AutogradContext*, const variable_list&) {
        TORCH_CHECK_NOT_IMPLEMENTED(
            false,
            "invariants of densities can be differentiated twice, a third derivative was asked for; with "
            "MHDNN_KERNELS=torch every derivative exists");
        return {};
    }
};

at::Tensor functions_autograd(MHDNN_INVARIANT_ARGUMENTS) {
    return DensityInvariants::apply(moments, MHDNN_INVARIANT_INPUTS);
}

at::Tensor vjp_autograd(const at::Tensor& cotangent, MHDNN_INVARIANT_ARGUMENTS) {
    return InvariantsVjp::apply(cotangent, moments, MHDNN_INVARIANT_INPUTS);
}

Two vjp_tangent_autograd(const at::Tensor& cotangent, const at::Tensor& moment_tangents, MHDNN_INVARIANT_ARGUMENTS) {
    const auto r = NoThirdDerivative::apply(cotangent, moment_tangents, moments, MHDNN_INVARIANT_INPUTS);
    return {r[0], r[1]};
}

at::Tensor functions_meta(MHDNN_INVARIANT_ARGUMENTS) {
    return moments.new_empty_symint({moments.sym_size(0), num_invariants(MHDNN_INVARIANT_INPUTS)});
}

at::Tensor vjp_meta(const at::Tensor&, MHDNN_INVARIANT_ARGUMENTS) {
    return moments.new_empty_symint(moments.sym_sizes());
}

Two vjp_tangent_meta(const at::Tensor& cotangent, const at::Tensor&, MHDNN_INVARIANT_ARGUMENTS) {
    return {cotangent.new_empty_symint(cotangent.sym_sizes()), moments.new_empty_symint(moments.sym_sizes())};
}

/// Both operators in a row: what models call.
at::Tensor contracted_functions(
    MHDNN_DENSITY_ARGUMENTS, std::string_view kind, std::int64_t four_body_degree, std::int64_t four_body_densities) {
    TORCH_CHECK_VALUE(
        kind == "radial" || kind == "angular", "`kind`: expected radial or angular, got ", std::string(kind));
    const bool is_radial = kind == "radial";
    using Moments = at::Tensor(
        const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
        const at::Tensor&, const at::Tensor&, double, std::string_view, std::int64_t);
    const at::Tensor moments = c10::Dispatcher::singleton()
                                   .findSchemaOrThrow("mhdnn::density_moments", "")
                                   .typed<Moments>()
                                   .call(
                                       pair_vectors, coefficients, first_pair, center_element, neighbor_element, etas,
                                       shifts, cutoff, cutoff_function, is_radial ? 0 : max_degree);
    if (is_radial) return moments.squeeze(2);
    return call<at::Tensor>("mhdnn::density_invariants", {moments, four_body_degree, four_body_densities});
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(mhdnn, library) {
    library.def("density_invariants(Tensor moments, int four_body_degree, int four_body_densities) -> Tensor");
    library.def(
        "density_invariants_vjp(Tensor cotangent, Tensor moments, int four_body_degree, int four_body_densities) "
        "-> Tensor");
    library.def(
        "density_invariants_vjp_tangent(Tensor cotangent, Tensor moment_tangents, Tensor moments, "
        "int four_body_degree, int four_body_densities) -> (Tensor, Tensor)");
    library.def(
        "contracted_functions(Tensor pair_vectors, Tensor coefficients, Tensor first_pair, Tensor center_element, "
        "Tensor neighbor_element, Tensor etas, Tensor shifts, float cutoff, str cutoff_function, int max_degree, "
        "str kind, int four_body_degree, int four_body_densities) -> Tensor");
}

TORCH_LIBRARY_IMPL(mhdnn, CompositeImplicitAutograd, library) {
    library.impl("contracted_functions", &contracted_functions);
}

TORCH_LIBRARY_IMPL(mhdnn, Autograd, library) {
    library.impl("density_invariants", &functions_autograd);
    library.impl("density_invariants_vjp", &vjp_autograd);
    library.impl("density_invariants_vjp_tangent", &vjp_tangent_autograd);
}

TORCH_LIBRARY_IMPL(mhdnn, Meta, library) {
    library.impl("density_invariants", &functions_meta);
    library.impl("density_invariants_vjp", &vjp_meta);
    library.impl("density_invariants_vjp_tangent", &vjp_tangent_meta);
}

}  // namespace mhdnn
