// Schema, shapes without data and derivatives of the operator density_moments. Its graph of derivatives is that of
// operators.cpp with coefficients in place of the channel table. Only gradients that are asked for are computed:
// forces don't need those by coefficients, and training doesn't need those by pair vectors.
#include <torch/csrc/autograd/custom_function.h>

#include "operators_contracted.h"

namespace mhdnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Two = std::tuple<at::Tensor, at::Tensor>;
using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

template <class Result, class... Leading>
Result call(const char* name, const DensityInputs& in, const Leading&... leading) {
    using Signature = Result(
        Leading..., const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
        const at::Tensor&, const at::Tensor&, double, std::string_view, std::int64_t);
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>().call(
        leading..., in.pair_vectors, in.coefficients, in.first_pair, in.center_element, in.neighbor_element, in.etas,
        in.shifts, in.cutoff, in.cutoff_function, in.max_degree);
}

Two call_vjp(const at::Tensor& cotangent, Wanted wanted, const DensityInputs& in) {
    return call<Two, const at::Tensor&, bool, bool>(
        "mhdnn::density_moments_vjp", in, cotangent, wanted.by_vectors, wanted.by_coefficients);
}

Three call_vjp_tangent(const at::Tensor& cotangent, const Tangents& tangents, Wanted wanted, const DensityInputs& in) {
    return call<Three, const at::Tensor&, const at::Tensor&, const at::Tensor&, bool, bool>(
        "mhdnn::density_moments_vjp_tangent", in, cotangent, tangents.pair_vectors, tangents.channel_table,
        wanted.by_vectors, wanted.by_coefficients);
}

void save(AutogradContext* context, const DensityInputs& in, const at::Tensor& cotangent, Wanted wanted) {
    context->save_for_backward(
        {in.pair_vectors, in.coefficients, in.first_pair, in.center_element, in.neighbor_element, in.etas, in.shifts,
         cotangent});
    context->saved_data["settings"] = c10::ivalue::Tuple::create(
        {in.cutoff, in.cutoff_function, in.max_degree, wanted.by_vectors, wanted.by_coefficients});
}

DensityInputs saved_inputs(AutogradContext* context, const variable_list& saved) {
    const auto& e = context->saved_data["settings"].toTupleRef().elements();
    return {saved[0], saved[1], saved[2],        saved[3],           saved[4],
            saved[5], saved[6], e[0].toDouble(), e[1].toStringRef(), e[2].toInt()};
}

/// The output number i of a vjp, if it was wanted.
bool was_wanted(AutogradContext* context, int i) {
    return context->saved_data["settings"].toTupleRef().elements()[3 + i].toBool();
}

at::Tensor if_wanted(bool wanted, const at::Tensor& gradient) { return wanted ? gradient : at::Tensor(); }

class MomentsVjp : public torch::autograd::Function<MomentsVjp> {
public:
    static variable_list forward(
        AutogradContext* context, const at::Tensor& cotangent, const at::Tensor&, const at::Tensor&, bool by_vectors,
        bool by_coefficients, const DensityInputs& in) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const Wanted wanted{by_vectors, by_coefficients};
        save(context, in, cotangent, wanted);
        const auto [vector_gradient, coefficient_gradient] = call_vjp(cotangent, wanted, in);
        return {vector_gradient, coefficient_gradient};
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const auto saved = context->get_saved_variables();
        const DensityInputs in = saved_inputs(context, saved);
        const auto direction = [&](int i, const at::Tensor& like) {
            return gradients[i].defined() && was_wanted(context, i) ? gradients[i] : at::zeros_like(like);
        };
        const Tangents tangents{direction(0, in.pair_vectors), direction(1, in.coefficients)};
        const Wanted wanted{context->needs_input_grad(1), context->needs_input_grad(2)};
        const auto [by_cotangent, by_vectors, by_coefficients] = call_vjp_tangent(saved[7], tangents, wanted, in);
        return {by_cotangent,
                if_wanted(wanted.by_vectors, by_vectors),
                if_wanted(wanted.by_coefficients, by_coefficients),
                {},
                {},
                {}};
    }
};

class DensityMoments : public torch::autograd::Function<DensityMoments> {
public:
    static at::Tensor forward(AutogradContext* context, const at::Tensor&, const at::Tensor&, const DensityInputs& in) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(context, in, {}, {});
        return call<at::Tensor>("mhdnn::density_moments", in);
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const auto saved = context->get_saved_variables();
        const Wanted wanted{context->needs_input_grad(0), context->needs_input_grad(1)};
        const auto [by_vectors, by_coefficients] = call_vjp(gradients[0], wanted, saved_inputs(context, saved));
        return {if_wanted(wanted.by_vectors, by_vectors), if_wanted(wanted.by_coefficients, by_coefficients), {}};
    }
};

class NoThirdDerivative : public torch::autograd::Function<NoThirdDerivative> {
public:
    static variable_list forward(
        AutogradContext*, const at::Tensor& cotangent, const at::Tensor& pair_tangents,
        const at::Tensor& coefficient_tangents, const at::Tensor&, const at::Tensor&, bool by_vectors,
        bool by_coefficients, const DensityInputs& in) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const auto [a, b, c] =
            call_vjp_tangent(cotangent, {pair_tangents, coefficient_tangents}, {by_vectors, by_coefficients}, in);
        return {a, b, c};
    }

    static variable_list backward(AutogradContext*, const variable_list&) {
        TORCH_CHECK_NOT_IMPLEMENTED(
            false,
            "contracted functions can be differentiated twice, a third derivative was asked for; with "
            "MHDNN_KERNELS=torch every derivative exists");
        return {};
    }
};

at::Tensor moments_autograd(MHDNN_DENSITY_ARGUMENTS) {
    return DensityMoments::apply(pair_vectors, coefficients, MHDNN_DENSITY_INPUTS);
}

Two vjp_autograd(const at::Tensor& cotangent, bool by_vectors, bool by_coefficients, MHDNN_DENSITY_ARGUMENTS) {
    const auto gradients =
        MomentsVjp::apply(cotangent, pair_vectors, coefficients, by_vectors, by_coefficients, MHDNN_DENSITY_INPUTS);
    return {gradients[0], gradients[1]};
}

Three vjp_tangent_autograd(
    const at::Tensor& cotangent, const at::Tensor& pair_tangents, const at::Tensor& coefficient_tangents,
    bool by_vectors, bool by_coefficients, MHDNN_DENSITY_ARGUMENTS) {
    const auto r = NoThirdDerivative::apply(
        cotangent, pair_tangents, coefficient_tangents, pair_vectors, coefficients, by_vectors, by_coefficients,
        MHDNN_DENSITY_INPUTS);
    return {r[0], r[1], r[2]};
}

at::Tensor moments_meta(MHDNN_DENSITY_ARGUMENTS) {
    return pair_vectors.new_empty_symint(
        {first_pair.sym_size(0) - 1, coefficients.sym_size(2), (max_degree + 1) * (max_degree + 1)});
}

at::Tensor gradient_meta(bool wanted, const at::Tensor& like) {
    return wanted ? like.new_empty_symint(like.sym_sizes()) : like.new_empty({0});
}

Two vjp_meta(const at::Tensor&, bool by_vectors, bool by_coefficients, MHDNN_DENSITY_ARGUMENTS) {
    return {gradient_meta(by_vectors, pair_vectors), gradient_meta(by_coefficients, coefficients)};
}

Three vjp_tangent_meta(
    const at::Tensor& cotangent, const at::Tensor&, const at::Tensor&, bool by_vectors, bool by_coefficients,
    MHDNN_DENSITY_ARGUMENTS) {
    return {
        gradient_meta(true, cotangent), gradient_meta(by_vectors, pair_vectors),
        gradient_meta(by_coefficients, coefficients)};
}

const std::string common =
    "Tensor pair_vectors, Tensor coefficients, Tensor first_pair, Tensor center_element, Tensor neighbor_element, "
    "Tensor etas, Tensor shifts, float cutoff, str cutoff_function, int max_degree)";

}  // namespace

TORCH_LIBRARY_FRAGMENT(mhdnn, library) {
    library.def(("density_moments(" + common + " -> Tensor").c_str());
    library.def(("density_moments_vjp(Tensor cotangent, bool by_vectors, bool by_coefficients, " + common +
                 " -> (Tensor, Tensor)")
                    .c_str());
    library.def(("density_moments_vjp_tangent(Tensor cotangent, Tensor pair_tangents, Tensor coefficient_tangents, "
                 "bool by_vectors, bool by_coefficients, " +
                 common + " -> (Tensor, Tensor, Tensor)")
                    .c_str());
}

TORCH_LIBRARY_IMPL(mhdnn, Autograd, library) {
    library.impl("density_moments", &moments_autograd);
    library.impl("density_moments_vjp", &vjp_autograd);
    library.impl("density_moments_vjp_tangent", &vjp_tangent_autograd);
}

TORCH_LIBRARY_IMPL(mhdnn, Meta, library) {
    library.impl("density_moments", &moments_meta);
    library.impl("density_moments_vjp", &vjp_meta);
    library.impl("density_moments_vjp_tangent", &vjp_tangent_meta);
}

}  // namespace mhdnn
