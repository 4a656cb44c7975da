// Checks and shapes that the operators of all devices share.
#include <algorithm>

#include "harmonics.h"
#include "operators.h"

namespace mhdnn {

Kind kind_from_name(std::string_view name) {
    if (name == "radial") return Kind::radial;
    if (name == "legendre") return Kind::legendre;
    if (name == "degrees") return Kind::degrees;
    if (name == "narrow") return Kind::narrow;
    TORCH_CHECK_VALUE(
        name == "wide", "`kind`: expected radial, legendre, degrees, narrow or wide, got ", std::string(name));
    return Kind::wide;
}

TripletLists::TripletLists(const Settings& settings) {
    const MergedPowers merged(settings.functions());
    radial_index = at::tensor(merged.radial_index, at::kLong);
    power_index = at::tensor(merged.power_index, at::kLong);
    zetas = at::tensor(merged.zetas, at::kLong);
    lambdas = at::tensor(merged.lambdas, at::kLong);
}

void TripletLists::to(at::Device device) {
    for (at::Tensor* list : {&radial_index, &power_index, &zetas, &lambdas}) {
        *list = list->to(device, /*non_blocking=*/true);
    }
}

ElementLists element_lists(const Inputs& in) {
    const bool narrow = kind_from_name(in.settings.kind) == Kind::narrow;
    return {in.num_elements(), in.num_radial(), in.settings.functions(), in.settings.elements, narrow};
}

RadialListShape radial_list_shape(const Inputs& in) {
    return {in.num_elements(), in.num_channels(), in.num_radial(), in.settings.elements.data()};
}

RadialShape radial_shape(const Inputs& inputs) {
    return {inputs.num_elements(), inputs.num_channels(), inputs.num_radial()};
}

MomentShape moment_shape(const Inputs& inputs) {
    const bool legendre = kind_from_name(inputs.settings.kind) == Kind::legendre;
    return {
        inputs.num_elements(),
        inputs.num_channels(),
        inputs.num_radial(),
        int(inputs.settings.max_degree),
        legendre && inputs.settings.cross_terms,
        legendre};
}

TripletShape triplet_shape(const Inputs& inputs, const TripletLists& lists) {
    return {
        inputs.num_elements(),
        inputs.num_channels(),
        inputs.num_radial(),
        int(lists.zetas.size(0)),
        int(lists.radial_index.size(0)),
        kind_from_name(inputs.settings.kind) == Kind::narrow,
        lists.radial_index.const_data_ptr<std::int64_t>(),
        lists.power_index.const_data_ptr<std::int64_t>(),
        lists.zetas.const_data_ptr<std::int64_t>(),
        lists.lambdas.const_data_ptr<std::int64_t>()};
}

void check_vectors(const at::Tensor& vectors) {
    TORCH_CHECK_VALUE(
        vectors.scalar_type() == at::kFloat || vectors.scalar_type() == at::kDouble,
        "`pair_vectors`: expected float32 or float64, got ", vectors.scalar_type());
    TORCH_CHECK_VALUE(
        vectors.dim() == 2 && vectors.size(1) == 3, "`pair_vectors`: expected shape (num_pairs, 3), got ",
        vectors.sizes());
}

void check_tensor(const at::Tensor& tensor, const char* name, at::IntArrayRef shape, const at::Tensor& like) {
    TORCH_CHECK_VALUE(tensor.sizes() == shape, "`", name, "`: expected shape ", shape, ", got ", tensor.sizes());
    TORCH_CHECK_VALUE(
        tensor.device() == like.device(), "`", name, "`: expected device ", like.device(), " as `pair_vectors`, got ",
        tensor.device());
    TORCH_CHECK_VALUE(
        tensor.scalar_type() == like.scalar_type(), "`", name, "`: expected ", like.scalar_type(), ", got ",
        tensor.scalar_type());
}

void check_index(const at::Tensor& tensor, const char* name, const at::Tensor& like) {
    TORCH_CHECK_VALUE(
        tensor.scalar_type() == at::kLong && tensor.dim() == 1 && tensor.device() == like.device(), "`", name,
        "`: expected one-dimensional int64 on ", like.device(), ", got ", tensor.scalar_type(), " of shape ",
        tensor.sizes(), " on ", tensor.device());
}

namespace {

/// Lists for certain elements: see lists.h.
void check_elements_of_list(const Settings& settings, int num_radial, int num_elements) {
    const Kind kind = kind_from_name(settings.kind);
    TORCH_CHECK_VALUE(
        kind == Kind::radial || kind == Kind::narrow || kind == Kind::wide,
        "`elements`: expected none for functions of kind ", settings.kind);
    const std::size_t per_function = kind == Kind::radial ? 1 : 2;
    TORCH_CHECK_VALUE(
        settings.elements.size() == per_function * num_radial, "`elements`: expected ", per_function,
        " for each of the ", num_radial, " radial functions, got ", settings.elements.size());
    for (std::size_t i = 0; i < settings.elements.size(); ++i) {
        const std::int64_t element = settings.elements[i];
        TORCH_CHECK_VALUE(
            element >= 0 && element < num_elements, "`elements`: expected 0 to ", num_elements - 1, ", got ", element);
        TORCH_CHECK_VALUE(
            per_function == 1 || i % 2 == 0 || settings.elements[i - 1] <= element,
            "`elements`: expected pairs in ascending order, got ", settings.elements[i - 1], " before ", element);
    }
    TORCH_CHECK_VALUE(
        kind == Kind::radial || std::is_sorted(settings.radial_index.begin(), settings.radial_index.end()),
        "`radial_index`: expected ascending numbers in lists for certain elements");
}

void check_functions(const Settings& settings, int num_radial) {
    const Kind kind = kind_from_name(settings.kind);
    TORCH_CHECK_VALUE(settings.cutoff > 0, "`cutoff`: expected a positive length in Å, got ", settings.cutoff);
    if (kind == Kind::legendre || kind == Kind::degrees) {
        TORCH_CHECK_VALUE(
            settings.max_degree >= 0 && settings.max_degree <= max_degree_limit, "`max_degree`: expected 0 to ",
            max_degree_limit, ", got ", settings.max_degree);
    }
    const std::size_t size = settings.radial_index.size();
    TORCH_CHECK_VALUE(
        settings.zetas.size() == size && settings.lambdas.size() == size,
        "`radial_index`, `zetas`, `lambdas`: expected equal lengths, got ", size, ", ", settings.zetas.size(), ", ",
        settings.lambdas.size());
    for (std::size_t f = 0; f < size; ++f) {
        const std::int64_t n = settings.radial_index[f], zeta = settings.zetas[f], lambda = settings.lambdas[f];
        TORCH_CHECK_VALUE(n >= 0 && n < num_radial, "`radial_index`: expected 0 to ", num_radial - 1, ", got ", n);
        TORCH_CHECK_VALUE(zeta >= 1, "`zetas`: expected positive integers, got ", zeta);
        TORCH_CHECK_VALUE(lambda == 1 || lambda == -1, "`lambdas`: expected +1 or -1, got ", lambda);
    }
}

}  // namespace

Inputs checked(Inputs in, const std::optional<at::Tensor>& cotangent, const std::optional<Tangents>& tangents) {
    const at::Tensor& vectors = in.pair_vectors;
    check_vectors(vectors);
    TORCH_CHECK_VALUE(
        in.channel_table.dim() == 2 && in.channel_table.numel() > 0,
        "`channel_table`: expected shape (num_elements, num_channels), got ", in.channel_table.sizes());
    check_tensor(in.channel_table, "channel_table", in.channel_table.sizes(), vectors);
    TORCH_CHECK_VALUE(in.etas.dim() == 1, "`etas`: expected one dimension, got shape ", in.etas.sizes());
    check_tensor(in.etas, "etas", in.etas.sizes(), vectors);
    check_tensor(in.shifts, "shifts", in.etas.sizes(), vectors);
    check_index(in.first_pair, "first_pair", vectors);
    check_index(in.neighbor_element, "neighbor_element", vectors);
    TORCH_CHECK_VALUE(in.first_pair.size(0) >= 1, "`first_pair`: expected num_atoms + 1 entries, got none");
    TORCH_CHECK_VALUE(
        in.neighbor_element.size(0) == vectors.size(0), "`neighbor_element`: expected one entry for each of the ",
        vectors.size(0), " pairs, got ", in.neighbor_element.size(0));
    check_functions(in.settings, in.num_radial());
    if (in.settings.is_list()) check_elements_of_list(in.settings, in.num_radial(), in.num_elements());
    if (cotangent) {
        const auto size = num_functions<std::int64_t>(in.settings, in.num_channels(), in.num_radial());
        check_tensor(*cotangent, "cotangent", {in.num_atoms(), size}, vectors);
    }
    if (tangents) {
        check_tensor(tangents->pair_vectors, "pair_tangents", vectors.sizes(), vectors);
        check_tensor(tangents->channel_table, "table_tangents", in.channel_table.sizes(), vectors);
    }
    for (at::Tensor* t :
         {&in.pair_vectors, &in.channel_table, &in.first_pair, &in.neighbor_element, &in.etas, &in.shifts}) {
        *t = t->contiguous();
    }
    return in;
}

template <class T>
Arguments<T> arguments_of(
    const Inputs& in, const at::Tensor& cotangent, const Tangents& tangents, std::int64_t num_table_gradients,
    Outputs& outputs) {
    const auto options = in.pair_vectors.options();
    const bool has_cotangent = cotangent.defined(), has_tangents = tangents.pair_vectors.defined();
    if (!has_cotangent || has_tangents) {
        const auto size = num_functions<std::int64_t>(in.settings, in.num_channels(), in.num_radial());
        outputs.functions = at::empty({in.num_atoms(), size}, options);
    }
    if (has_cotangent) {
        outputs.vector_gradient = at::empty_like(in.pair_vectors);
        outputs.table_gradient = at::empty({num_table_gradients, in.num_elements(), in.num_channels()}, options);
    }
    const auto read = [](const at::Tensor& t) { return t.defined() ? t.const_data_ptr<T>() : nullptr; };
    const auto write = [](const at::Tensor& t) { return t.defined() ? t.mutable_data_ptr<T>() : nullptr; };
    return {
        in.num_atoms(),
        in.first_pair.const_data_ptr<std::int64_t>(),
        in.neighbor_element.const_data_ptr<std::int64_t>(),
        read(in.pair_vectors),
        read(tangents.pair_vectors),
        read(in.channel_table),
        read(tangents.channel_table),
        radial_basis<T>(in.etas, in.shifts, in.settings.cutoff, in.settings.cutoff_function),
        read(cotangent),
        write(outputs.functions),
        write(outputs.vector_gradient),
        write(outputs.table_gradient)};
}

template Arguments<float> arguments_of<float>(
    const Inputs&, const at::Tensor&, const Tangents&, std::int64_t, Outputs&);
template Arguments<double> arguments_of<double>(
    const Inputs&, const at::Tensor&, const Tangents&, std::int64_t, Outputs&);

}  // namespace mhdnn
