// Checks and shapes that the operators of contracted functions on all devices share.
#include <map>
#include <mutex>

#include "operators_contracted.h"

namespace mhdnn {

DensityShape density_shape(const DensityInputs& in) {
    return {
        int(in.coefficients.size(0)), int(in.coefficients.size(2)), int(in.coefficients.size(3)), int(in.max_degree)};
}

namespace {

/// L from the number of components (L + 1)²; -1 if it is none.
std::int64_t degree_of(std::int64_t num_harmonics) {
    for (std::int64_t l = 0; l <= max_degree_limit; ++l) {
        if ((l + 1) * (l + 1) == num_harmonics) return l;
    }
    return -1;
}

}  // namespace

InvariantShape invariant_shape(const InvariantInputs& in, const FourBodyShape& four_body) {
    return {int(in.moments.size(1)), int(degree_of(in.moments.size(2))), four_body};
}

const FourBodyTables& four_body_tables(const InvariantInputs& in) {
    static std::mutex mutex;
    static std::map<std::pair<int, int>, FourBodyTables> known;  // whose entries never move
    const std::pair<int, int> key{int(in.four_body_degree), int(in.four_body_densities)};
    const std::lock_guard<std::mutex> lock(mutex);
    return known.try_emplace(key, key.first, key.second).first->second;
}

at::SymInt num_invariants(const InvariantInputs& in) {
    const at::SymInt n = in.moments.sym_size(1);
    const std::int64_t num_degrees = degree_of(in.moments.sym_size(2).guard_int(__FILE__, __LINE__)) + 1;
    return n * (n + 1) / 2 * num_degrees + num_four_body_functions(in.four_body_degree, in.four_body_densities);
}

DensityInputs checked(DensityInputs in, const at::Tensor& cotangent, const Tangents& tangents) {
    const at::Tensor &vectors = in.pair_vectors, &c = in.coefficients;
    check_vectors(vectors);
    TORCH_CHECK_VALUE(
        c.dim() == 4 && c.size(0) == c.size(1) && c.numel() > 0,
        "`coefficients`: expected shape (num_elements, num_elements, num_densities, num_radial), got ", c.sizes());
    check_tensor(c, "coefficients", c.sizes(), vectors);
    check_tensor(in.etas, "etas", {c.size(3)}, vectors);
    check_tensor(in.shifts, "shifts", {c.size(3)}, vectors);
    check_index(in.first_pair, "first_pair", vectors);
    check_index(in.center_element, "center_element", vectors);
    check_index(in.neighbor_element, "neighbor_element", vectors);
    TORCH_CHECK_VALUE(in.first_pair.size(0) >= 1, "`first_pair`: expected num_atoms + 1 entries, got none");
    TORCH_CHECK_VALUE(
        in.center_element.size(0) == in.num_atoms(), "`center_element`: expected one entry for each of the ",
        in.num_atoms(), " atoms, got ", in.center_element.size(0));
    TORCH_CHECK_VALUE(
        in.neighbor_element.size(0) == vectors.size(0), "`neighbor_element`: expected one entry for each of the ",
        vectors.size(0), " pairs, got ", in.neighbor_element.size(0));
    TORCH_CHECK_VALUE(in.cutoff > 0, "`cutoff`: expected a positive length in Å, got ", in.cutoff);
    TORCH_CHECK_VALUE(
        in.max_degree >= 0 && in.max_degree <= max_degree_limit, "`max_degree`: expected 0 to ", max_degree_limit,
        ", got ", in.max_degree);
    if (cotangent.defined()) {
        const std::int64_t num_harmonics = (in.max_degree + 1) * (in.max_degree + 1);
        check_tensor(cotangent, "cotangent", {in.num_atoms(), c.size(2), num_harmonics}, vectors);
    }
    if (tangents.pair_vectors.defined()) {
        check_tensor(tangents.pair_vectors, "pair_tangents", vectors.sizes(), vectors);
        check_tensor(tangents.channel_table, "coefficient_tangents", c.sizes(), vectors);
    }
    for (at::Tensor* t :
         {&in.pair_vectors, &in.coefficients, &in.first_pair, &in.center_element, &in.neighbor_element, &in.etas,
          &in.shifts}) {
        *t = t->contiguous();
    }
    return in;
}

InvariantInputs checked(InvariantInputs in, const at::Tensor& cotangent, const at::Tensor& tangents) {
    const at::Tensor& moments = in.moments;
    TORCH_CHECK_VALUE(
        moments.scalar_type() == at::kFloat || moments.scalar_type() == at::kDouble,
        "`moments`: expected float32 or float64, got ", moments.scalar_type());
    TORCH_CHECK_VALUE(
        moments.dim() == 3 && degree_of(moments.size(2)) >= 0,
        "`moments`: expected shape (num_atoms, num_densities, (L + 1)²) with L up to ", max_degree_limit, ", got ",
        moments.sizes());
    const std::int64_t highest = std::min<std::int64_t>(degree_of(moments.size(2)), four_body_degree_limit);
    TORCH_CHECK_VALUE(
        in.four_body_degree >= 0 && in.four_body_degree <= highest, "`four_body_degree`: expected 0 to ", highest,
        ", got ", in.four_body_degree);
    TORCH_CHECK_VALUE(
        in.four_body_densities >= 0 && in.four_body_densities <= moments.size(1),
        "`four_body_densities`: expected 0 to the number of densities ", moments.size(1), ", got ",
        in.four_body_densities);
    if (cotangent.defined()) {
        const std::int64_t size = num_invariants(in).guard_int(__FILE__, __LINE__);
        check_tensor(cotangent, "cotangent", {moments.size(0), size}, moments);
    }
    if (tangents.defined()) check_tensor(tangents, "moment_tangents", moments.sizes(), moments);
    in.moments = moments.contiguous();
    return in;
}

namespace {

template <class T>
const T* read(const at::Tensor& tensor) {
    return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
}

/// Null where it is not wanted.
template <class T>
T* write(const at::Tensor& tensor, bool is_wanted = true) {
    return tensor.defined() && is_wanted ? tensor.mutable_data_ptr<T>() : nullptr;
}

}  // namespace

template <class T>
Arguments<T> arguments_of(
    const DensityInputs& in, const at::Tensor& cotangent, const Tangents& tangents, Wanted wanted,
    at::IntArrayRef gradient_shape, DensityOutputs& outputs) {
    const auto options = in.pair_vectors.options();
    const bool has_cotangent = cotangent.defined();
    if (!has_cotangent || tangents.pair_vectors.defined()) {
        const std::int64_t num_harmonics = (in.max_degree + 1) * (in.max_degree + 1);
        outputs.moments = at::empty({in.num_atoms(), in.coefficients.size(2), num_harmonics}, options);
    }
    if (has_cotangent) {
        outputs.vector_gradient = wanted.by_vectors ? at::empty_like(in.pair_vectors) : at::empty({0}, options);
        outputs.coefficient_gradient = at::empty(wanted.by_coefficients ? gradient_shape : at::IntArrayRef{0}, options);
    }
    return {
        in.num_atoms(),
        in.first_pair.const_data_ptr<std::int64_t>(),
        in.neighbor_element.const_data_ptr<std::int64_t>(),
        read<T>(in.pair_vectors),
        read<T>(tangents.pair_vectors),
        read<T>(in.coefficients),
        read<T>(tangents.channel_table),
        radial_basis<T>(in.etas, in.shifts, in.cutoff, in.cutoff_function),
        read<T>(cotangent),
        write<T>(outputs.moments),
        write<T>(outputs.vector_gradient, wanted.by_vectors),
        write<T>(outputs.coefficient_gradient, wanted.by_coefficients),
        in.center_element.const_data_ptr<std::int64_t>()};
}

template <class T>
InvariantArguments<T> arguments_of(
    const InvariantInputs& in, const at::Tensor& cotangent, const at::Tensor& tangents, InvariantOutputs& outputs) {
    if (!cotangent.defined() || tangents.defined()) {
        const std::int64_t size = num_invariants(in).guard_int(__FILE__, __LINE__);
        outputs.functions = at::empty({in.moments.size(0), size}, in.moments.options());
    }
    if (cotangent.defined()) outputs.moment_gradient = at::empty_like(in.moments);
    return {in.moments.size(0), read<T>(in.moments),         read<T>(tangents),
            read<T>(cotangent), write<T>(outputs.functions), write<T>(outputs.moment_gradient)};
}

#define MHDNN_INSTANCES(T)                                                                                   \
    template Arguments<T> arguments_of<T>(                                                                   \
        const DensityInputs&, const at::Tensor&, const Tangents&, Wanted, at::IntArrayRef, DensityOutputs&); \
    template InvariantArguments<T> arguments_of<T>(                                                          \
        const InvariantInputs&, const at::Tensor&, const at::Tensor&, InvariantOutputs&);
MHDNN_INSTANCES(float)
MHDNN_INSTANCES(double)

}  // namespace mhdnn
