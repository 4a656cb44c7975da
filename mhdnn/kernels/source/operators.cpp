// Schemas, shapes without data (fake tensors) and derivatives of the operators.
//
// The graph of derivatives, with r the pair vectors, w the channel table, h a cotangent, (r', w') tangents:
//
//     symmetry_functions(r, w) = G
//       its vjp:  symmetry_functions_vjp(h; r, w) = (∂φ/∂r, ∂φ/∂w)  with φ = h · G(r, w)
//         its vjp with the cotangents (r', w'):
//                 symmetry_functions_vjp_tangent(h, r', w'; r, w) = derivatives along (r', w') of
//                 (G, ∂φ/∂r, ∂φ/∂w), which are the gradients by h, r and w, for second derivatives commute.
#include <torch/csrc/autograd/custom_function.h>

#include "operators_registration.h"

namespace mhdnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

c10::IValue pack(const Settings& s) {
    return c10::ivalue::Tuple::create(
        {s.cutoff, s.cutoff_function, s.kind, s.max_degree, s.cross_terms, s.radial_index, s.zetas, s.lambdas,
         s.elements});
}

Settings unpack(const c10::IValue& packed) {
    const auto& e = packed.toTupleRef().elements();
    return {e[0].toDouble(),    e[1].toStringRef(), e[2].toStringRef(), e[3].toInt(),      e[4].toBool(),
            e[5].toIntVector(), e[6].toIntVector(), e[7].toIntVector(), e[8].toIntVector()};
}

template <class Result, class... Leading>
Result call(const char* name, const Inputs& in, const Leading&... leading) {
    using Signature = Result(
        const Leading&..., const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
        const at::Tensor&, const at::Tensor&, double, std::string_view, std::string_view, std::int64_t, bool,
        at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef);
    const Settings& s = in.settings;
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>().call(
        leading..., in.pair_vectors, in.channel_table, in.first_pair, in.neighbor_element, in.etas, in.shifts, s.cutoff,
        s.cutoff_function, s.kind, s.max_degree, s.cross_terms, s.radial_index, s.zetas, s.lambdas, s.elements);
}

at::Tensor call_functions(const Inputs& in) { return call<at::Tensor>("mhdnn::symmetry_functions", in); }

using Two = std::tuple<at::Tensor, at::Tensor>;
using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

Two call_vjp(const at::Tensor& cotangent, const Inputs& in) {
    return call<Two>("mhdnn::symmetry_functions_vjp", in, cotangent);
}

Three call_vjp_tangent(const at::Tensor& cotangent, const Tangents& tangents, const Inputs& in) {
    return call<Three>(
        "mhdnn::symmetry_functions_vjp_tangent", in, cotangent, tangents.pair_vectors, tangents.channel_table);
}

/// A gradient that may be absent because nothing depends on the output.
at::Tensor defined_or_zero(const at::Tensor& gradient, const at::Tensor& like) {
    return gradient.defined() ? gradient : at::zeros_like(like);
}

void save(AutogradContext* context, const Inputs& in, const at::Tensor& cotangent) {
    context->save_for_backward(
        {in.pair_vectors, in.channel_table, in.first_pair, in.neighbor_element, in.etas, in.shifts, cotangent});
    context->saved_data["settings"] = pack(in.settings);
}

Inputs saved_inputs(AutogradContext* context, const variable_list& saved) {
    return {saved[0], saved[1], saved[2], saved[3], saved[4], saved[5], unpack(context->saved_data["settings"])};
}

class VjpFunction : public torch::autograd::Function<VjpFunction> {
public:
    static variable_list forward(
        AutogradContext* context, const at::Tensor& cotangent, const at::Tensor&, const at::Tensor&, const Inputs& in) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(context, in, cotangent);
        const auto [vector_gradient, table_gradient] = call_vjp(cotangent, in);
        return {vector_gradient, table_gradient};
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const auto saved = context->get_saved_variables();
        const Inputs in = saved_inputs(context, saved);
        const Tangents tangents{
            defined_or_zero(gradients[0], in.pair_vectors), defined_or_zero(gradients[1], in.channel_table)};
        const auto [by_cotangent, by_vectors, by_table] = call_vjp_tangent(saved[6], tangents, in);
        return {by_cotangent, by_vectors, by_table, {}};
    }
};

class SymmetryFunctions : public torch::autograd::Function<SymmetryFunctions> {
public:
    static at::Tensor forward(AutogradContext* context, const at::Tensor&, const at::Tensor&, const Inputs& in) {
        at::AutoDispatchBelowADInplaceOrView guard;
        save(context, in, {});
        return call_functions(in);
    }

    static variable_list backward(AutogradContext* context, const variable_list& gradients) {
        const auto saved = context->get_saved_variables();
        const auto [by_vectors, by_table] = call_vjp(gradients[0], saved_inputs(context, saved));
        return {by_vectors, by_table, {}};
    }
};

at::Tensor functions_autograd(MHDNN_ARGUMENTS) {
    return SymmetryFunctions::apply(pair_vectors, channel_table, MHDNN_INPUTS);
}

Two vjp_autograd(const at::Tensor& cotangent, MHDNN_ARGUMENTS) {
    const auto gradients = VjpFunction::apply(cotangent, pair_vectors, channel_table, MHDNN_INPUTS);
    return {gradients[0], gradients[1]};
}

class NoThirdDerivative : public torch::autograd::Function<NoThirdDerivative> {
public:
    static variable_list forward(
        AutogradContext*, const at::Tensor& cotangent, const at::Tensor& pair_tangents,
        const at::Tensor& table_tangents, const at::Tensor&, const at::Tensor&, const Inputs& in) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const auto [a, b, c] = call_vjp_tangent(cotangent, Tangents{pair_tangents, table_tangents}, in);
        return {a, b, c};
    }

    static variable_list backward(AutogradContext*, const variable_list&) {
        TORCH_CHECK_NOT_IMPLEMENTED(
            false,
            "symmetry functions can be differentiated twice, a third derivative was asked for; with "
            "MHDNN_KERNELS=torch every derivative exists");
        return {};
    }
};

Three vjp_tangent_autograd(
    const at::Tensor& cotangent, const at::Tensor& pair_tangents, const at::Tensor& table_tangents, MHDNN_ARGUMENTS) {
    const auto r =
        NoThirdDerivative::apply(cotangent, pair_tangents, table_tangents, pair_vectors, channel_table, MHDNN_INPUTS);
    return {r[0], r[1], r[2]};
}

at::Tensor functions_meta(MHDNN_ARGUMENTS) {
    const Settings settings = MHDNN_INPUTS.settings;
    return pair_vectors.new_empty_symint(
        {first_pair.sym_size(0) - 1,
         num_functions<c10::SymInt>(settings, channel_table.sym_size(1), etas.sym_size(0))});
}

Two vjp_meta(const at::Tensor&, MHDNN_ARGUMENTS) {
    return {
        pair_vectors.new_empty_symint(pair_vectors.sym_sizes()),
        channel_table.new_empty_symint(channel_table.sym_sizes())};
}

Three vjp_tangent_meta(const at::Tensor& cotangent, const at::Tensor&, const at::Tensor&, MHDNN_ARGUMENTS) {
    return {
        cotangent.new_empty_symint(cotangent.sym_sizes()), pair_vectors.new_empty_symint(pair_vectors.sym_sizes()),
        channel_table.new_empty_symint(channel_table.sym_sizes())};
}

const std::string common =
    "Tensor pair_vectors, Tensor channel_table, Tensor first_pair, Tensor neighbor_element, Tensor etas, "
    "Tensor shifts, float cutoff, str cutoff_function, str kind, int max_degree, bool cross_terms, "
    "int[] radial_index, int[] zetas, int[] lambdas, int[] elements=[])";

}  // namespace

TORCH_LIBRARY(mhdnn, library) {
    library.def(("symmetry_functions(" + common + " -> Tensor").c_str());
    library.def(("symmetry_functions_vjp(Tensor cotangent, " + common + " -> (Tensor, Tensor)").c_str());
    library.def(("symmetry_functions_vjp_tangent(Tensor cotangent, Tensor pair_tangents, Tensor table_tangents, " +
                 common + " -> (Tensor, Tensor, Tensor)")
                    .c_str());
}

TORCH_LIBRARY_IMPL(mhdnn, Autograd, library) {
    library.impl("symmetry_functions", &functions_autograd);
    library.impl("symmetry_functions_vjp", &vjp_autograd);
    library.impl("symmetry_functions_vjp_tangent", &vjp_tangent_autograd);
}

TORCH_LIBRARY_IMPL(mhdnn, Meta, library) {
    library.impl("symmetry_functions", &functions_meta);
    library.impl("symmetry_functions_vjp", &vjp_meta);
    library.impl("symmetry_functions_vjp_tangent", &vjp_tangent_meta);
}

}  // namespace mhdnn
