// The network of all elements (mhdnn/networks.py, SharedNetwork) as one operator with its first two derivatives.
//
// With x the functions of an atom, Z its element and t = [1, species features of Z]:
//
//     z1 = W1 x + V t_Z,  h_k = a(z_k),  z_{k+1} = W_{k+1} h_k + b_{k+1},  E = s w·h_L + Σ_b t_b (B_b x + c_b)
//
// where V holds the weights of the species features and the bias. Derivatives by x along a cotangent u of E:
//
//     a_L = u s w,  d_k = a'(z_k) a_k,  a_{k-1} = d_k W_k,  u·∂E/∂x = d1 W1 + Σ_b u t_b B_b
//
// Their vjp with c, the derivative along c of u·E by everything, differentiates tangents: ż1 = W1 c, ...:
//
//     y_k = a'(z_k) (y_{k+1} W_{k+1}) + a''(z_k) ż_k a_k  (y_{L+1} = 0)  by z_k, and d_k by ż_k
//
// which is what training on forces needs. Sums over atoms are products of matrices.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "last_derivative.h"
#include "networks.h"

namespace mhdnn::networks {
namespace {

// Derivatives of an activation at z, from its value there.
at::Tensor activated(const std::string& name, const at::Tensor& z) {
    if (name == "silu") return at::silu(z);
    if (name == "tanh") return at::tanh(z);
    TORCH_CHECK(name == "softplus", "activation: expected silu, tanh or softplus, got ", name);
    return at::softplus(z);
}

at::Tensor first_derivative(const std::string& name, const at::Tensor& z, const at::Tensor& value) {
    if (name == "tanh") return value.square().neg_().add_(1.0);
    const at::Tensor s = at::sigmoid(z);
    if (name == "softplus") return s;
    return at::rsub(s, 1.0).mul_(value).add_(s);  // s + z s (1 - s)
}

at::Tensor second_derivative(const std::string& name, const at::Tensor& z, const at::Tensor& value) {
    if (name == "tanh") return value.square().sub_(1.0).mul_(value).mul_(2.0);
    const at::Tensor s = at::sigmoid(z), both = s.square().neg_().add_(s);
    if (name == "softplus") return both;
    return at::rsub(s, 0.5).mul_(z).add_(1.0).mul_(both).mul_(2.0);  // s (1 - s) (2 + z (1 - 2 s))
}

at::Tensor sum_by_element(const at::Tensor& values, const Network& n) {
    return at::zeros({n.species.size(0), values.size(1)}, values.options()).index_add_(0, n.element, values);
}

}  // namespace

at::Tensor energies(const Network& n, Passed& passed) {
    const at::Tensor products = at::mm(n.functions, n.first_matrix().t());
    const std::int64_t nodes = n.weight(0).size(0);
    const at::Tensor shares = at::addmm(n.bias(0), n.species, n.of_species().t());
    at::Tensor z = products.narrow(1, 0, nodes).add(shares.index_select(0, n.element));
    for (std::int64_t layer = 0; layer < n.num_layers(); ++layer) {
        if (layer > 0) z = at::addmm(n.bias(layer), passed.h.back(), n.weight(layer).t());
        passed.z.push_back(z);
        passed.h.push_back(activated(n.activation, z));
        passed.slope.push_back(first_derivative(n.activation, z, passed.h.back()));
    }
    at::Tensor result = at::mv(passed.h.back(), n.last().view(-1)).mul_(n.scale);
    passed.rows = n.table().index_select(0, n.element);
    if (n.is_linear()) {
        passed.linear = products.narrow(1, nodes, passed.rows.size(1)).add(n.blocks().select(1, 0));
        result.add_(at::mul(passed.rows, passed.linear).sum(1));
    }
    return result;
}

Adjoints adjoints_of(const Network& n, const Passed& passed, const at::Tensor& u) {
    const std::int64_t count = n.num_layers();
    Adjoints result{Tensors(count), Tensors(count)};
    at::Tensor a = at::mm(at::mul(u, n.scale).unsqueeze(1), n.last());
    for (std::int64_t layer = count - 1; layer >= 0; --layer) {
        result.a[layer] = a;
        result.d[layer] = at::mul(passed.slope[layer], a);
        if (layer > 0) a = at::mm(result.d[layer], n.weight(layer));
    }
    return result;
}

namespace {

// Beside the first layer's adjoints those of the linear part: rows u t.
at::Tensor with_linear(const Network& n, const at::Tensor& first, const at::Tensor& linear) {
    return n.is_linear() ? at::cat({first, linear}, 1) : first;
}

// Gradients in the order of `Network::all`, of u·E or of its derivative along a direction:
// matrix: of the first matrix; layers: of the values and biases; by_table: of the rows of the linear part.
struct Sums {
    at::Tensor matrix, first, constants, by_table, last;
    Tensors weights, biases;
};

void write_gradients(const Network& n, const Sums& sums, variable_list& gradients) {
    const std::int64_t nodes = n.weight(0).size(0);
    const at::Tensor by_shares = sum_by_element(sums.first, n);
    gradients[num_before_layers] = at::cat({sums.matrix.narrow(0, 0, nodes), at::mm(by_shares.t(), n.species)}, 1);
    gradients[num_before_layers + 1] = by_shares.sum(0);
    for (std::int64_t layer = 1; layer < n.num_layers(); ++layer) {
        gradients[num_before_layers + 2 * layer] = sums.weights[layer];
        gradients[num_before_layers + 2 * layer + 1] = sums.biases[layer];
    }
    gradients[num_before_layers + n.layers.size() - 1] = sums.last.view(n.last().sizes());
    at::Tensor by_species = at::mm(by_shares, n.of_species());
    if (n.is_linear()) {
        const at::Tensor by_functions = sums.matrix.narrow(0, nodes, 1 + n.species.size(1));
        gradients[3] = at::cat({sums.constants.unsqueeze(1), by_functions}, 1).view(-1);
        by_species.add_(sum_by_element(sums.by_table.narrow(1, 1, n.species.size(1)), n));
    }
    gradients[2] = by_species;
}

}  // namespace

at::Tensor by_functions(const Network& n, const Passed& passed, const Adjoints& adjoints, const at::Tensor& u) {
    const at::Tensor linear = n.is_linear() ? passed.rows * u.unsqueeze(1) : at::Tensor();
    return at::mm(with_linear(n, adjoints.d[0], linear), n.first_matrix());
}

void first_gradients(
    const Network& n, const Passed& passed, const Adjoints& adjoints, const at::Tensor& u, variable_list& gradients) {
    Sums sums;
    const at::Tensor linear = n.is_linear() ? passed.rows * u.unsqueeze(1) : at::Tensor();
    sums.first = adjoints.d[0];
    sums.matrix = at::mm(with_linear(n, sums.first, linear).t(), n.functions);
    sums.weights.resize(n.num_layers());
    sums.biases.resize(n.num_layers());
    for (std::int64_t layer = 1; layer < n.num_layers(); ++layer) {
        sums.weights[layer] = at::mm(adjoints.d[layer].t(), passed.h[layer - 1]);
        sums.biases[layer] = adjoints.d[layer].sum(0);
    }
    sums.last = at::mv(passed.h.back().t(), at::mul(u, n.scale));
    if (n.is_linear()) {
        sums.constants = linear.sum(0);
        sums.by_table = passed.linear * u.unsqueeze(1);
    }
    write_gradients(n, sums, gradients);
}

at::Tensor second_gradients(
    const Network& n, const Passed& passed, const Adjoints& adjoints, const at::Tensor& u, const at::Tensor& c,
    const at::Tensor& v, std::int64_t from, variable_list& gradients) {
    const std::int64_t nodes = n.weight(0).size(0), count = n.num_layers();
    const at::Tensor moved = at::mm(c, n.first_matrix().t());
    Tensors moved_z(count), moved_h(count);
    for (std::int64_t layer = 0; layer < count; ++layer) {
        moved_z[layer] = layer == 0 ? moved.narrow(1, 0, nodes) : at::mm(moved_h[layer - 1], n.weight(layer).t());
        moved_h[layer] = at::mul(passed.slope[layer], moved_z[layer]);
    }
    Sums sums;
    sums.weights.resize(count);
    sums.biases.resize(count);
    at::Tensor y, above = v.defined() ? at::mm(at::mul(v, n.scale).unsqueeze(1), n.last()) : v;
    for (std::int64_t layer = count - 1; layer >= 0; --layer) {
        y = second_derivative(n.activation, passed.z[layer], passed.h[layer]);
        y.mul_(moved_z[layer]).mul_(adjoints.a[layer]);
        if (above.defined()) y.addcmul_(above, passed.slope[layer]);
        if (layer == 0) break;
        above = at::mm(y, n.weight(layer));
        sums.weights[layer] = at::addmm(at::mm(y.t(), passed.h[layer - 1]), adjoints.d[layer].t(), moved_h[layer - 1]);
        sums.biases[layer] = y.sum(0);
    }
    at::Tensor by_u = at::mv(moved_h.back(), n.last().view(-1)).mul_(n.scale);
    sums.first = y;
    sums.last = at::mv(moved_h.back().t(), at::mul(u, n.scale));
    if (v.defined()) sums.last.add_(at::mv(passed.h.back().t(), at::mul(v, n.scale)));
    at::Tensor linear, more;  // of u and of v
    if (n.is_linear()) {
        const at::Tensor own = moved.narrow(1, nodes, passed.rows.size(1));
        by_u.add_(at::mul(passed.rows, own).sum(1));
        linear = passed.rows * u.unsqueeze(1);
        more = v.defined() ? passed.rows * v.unsqueeze(1) : at::zeros_like(passed.rows);
        sums.by_table = own * u.unsqueeze(1);
        if (v.defined()) sums.by_table.add_(passed.linear * v.unsqueeze(1));
        sums.constants = more.sum(0);
    }
    const at::Tensor by_matrix = with_linear(n, y, more);
    sums.matrix = at::mm(with_linear(n, adjoints.d[0], linear).t(), c).addmm_(by_matrix.t(), n.functions);
    write_gradients(n, sums, gradients);
    const std::int64_t width = n.num_functions() - from;
    if (width > 0) gradients[0] = at::mm(by_matrix, n.first_matrix().narrow(1, from, width));
    return by_u;
}

}  // namespace mhdnn::networks

namespace mhdnn {
namespace {

using torch::autograd::AutogradContext;
using namespace networks;

void save(AutogradContext* context, const Network& n, const Passed& passed, const Tensors& more) {
    variable_list everything = n.all();
    for (const Tensors* tensors : {&passed.z, &passed.h, &passed.slope, &more})
        everything.insert(everything.end(), tensors->begin(), tensors->end());
    everything.push_back(passed.rows);
    everything.push_back(passed.linear);
    context->save_for_backward(everything);
    context->saved_data["layers"] = static_cast<std::int64_t>(n.layers.size());
    context->saved_data["activation"] = n.activation;
}

struct Saved {
    Network network;
    Passed passed;
    Tensors more;
};

Saved saved_in(AutogradContext* context) {
    const variable_list all = context->get_saved_variables();
    const auto num_layers = static_cast<std::size_t>(context->saved_data["layers"].toInt()), count = num_layers / 2;
    const auto at = [&](std::size_t number) { return all.begin() + static_cast<std::ptrdiff_t>(number); };
    const std::size_t begin = num_before_layers + num_layers;
    return {
        {all[0], all[1], all[2], all[3], all[4], Tensors(at(num_before_layers), at(begin)),
         context->saved_data["activation"].toStringRef()},
        {Tensors(at(begin), at(begin + count)), Tensors(at(begin + count), at(begin + 2 * count)),
         Tensors(at(begin + 2 * count), at(begin + 3 * count)), all[all.size() - 2], all.back()},
        Tensors(at(begin + 3 * count), at(all.size() - 2))};
}

bool any_parameter(const AutogradContext* context, std::size_t num_inputs) {
    for (std::size_t number = 2; number < num_inputs; ++number)
        if (context->needs_input_grad(number)) return true;
    return false;
}

const char* const twice =
    "a network can be differentiated twice, by its functions and then by everything; a derivative beyond that was "
    "asked "
    "for";

class Gradient : public torch::autograd::Function<Gradient> {
public:
    static at::Tensor forward(
        AutogradContext* context, const at::Tensor& u, at::TensorList /*all*/, const Network& n, const Passed& passed) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const Adjoints adjoints = adjoints_of(n, passed, u);
        Tensors more = adjoints.a;
        more.insert(more.end(), adjoints.d.begin(), adjoints.d.end());
        more.push_back(u);
        save(context, n, passed, more);
        return by_functions(n, passed, adjoints, u);
    }

    static variable_list backward(AutogradContext* context, const variable_list& cotangents) {
        const Saved saved = saved_in(context);
        const Network& n = saved.network;
        const auto count = static_cast<std::size_t>(n.num_layers());
        const auto begin = saved.more.begin();
        const Adjoints adjoints{
            Tensors(begin, begin + static_cast<std::ptrdiff_t>(count)),
            Tensors(begin + static_cast<std::ptrdiff_t>(count), begin + static_cast<std::ptrdiff_t>(2 * count))};
        const at::Tensor& u = saved.more.back();
        variable_list gradients(n.all().size()), given = n.all();
        at::Tensor by_u;
        {
            at::AutoDispatchBelowADInplaceOrView guard;
            const std::int64_t from = context->needs_input_grad(1) ? 0 : n.num_functions();
            by_u = second_gradients(n, saved.passed, adjoints, u, cotangents[0], {}, from, gradients);
        }
        gradients.insert(gradients.begin(), by_u);
        given.push_back(u);
        given.push_back(cotangents[0]);
        gradients = last_derivative(given, gradients, twice);
        gradients.resize(gradients.size() + 2);  // of the network and of what was passed
        return gradients;
    }
};

class Energies : public torch::autograd::Function<Energies> {
public:
    static at::Tensor forward(AutogradContext* context, at::TensorList /*all*/, const Network& n) {
        at::AutoDispatchBelowADInplaceOrView guard;
        Passed passed;
        at::Tensor result = energies(n, passed);
        save(context, n, passed, {});
        return result;
    }

    static variable_list backward(AutogradContext* context, const variable_list& cotangents) {
        const Saved saved = saved_in(context);
        const Network& n = saved.network;
        const variable_list all = n.all();
        variable_list gradients(all.size());
        if (any_parameter(context, all.size())) {
            {
                at::AutoDispatchBelowADInplaceOrView guard;
                first_gradients(n, saved.passed, adjoints_of(n, saved.passed, cotangents[0]), cotangents[0], gradients);
            }
            variable_list given = all;
            given.push_back(cotangents[0]);
            gradients = last_derivative(given, gradients, twice);
        }
        if (context->needs_input_grad(0))
            gradients[0] = Gradient::apply(cotangents[0], at::TensorList(all), n, saved.passed);
        gradients.resize(gradients.size() + 1);  // of the network
        return gradients;
    }
};

at::Tensor network_energies(
    const at::Tensor& functions, const at::Tensor& element_index, const at::Tensor& species,
    const at::Tensor& linear_weight, const at::Tensor& scale, const std::vector<at::Tensor>& layers,
    std::string activation) {
    TORCH_CHECK(!scale.requires_grad(), "output_scale: expected a tensor without gradient");
    const c10::impl::ExcludeDispatchKeyGuard in_own_precision(c10::autocast_dispatch_keyset);
    const Network network{functions, element_index, species, linear_weight, scale, layers, std::move(activation)};
    const variable_list all = network.all();
    return Energies::apply(at::TensorList(all), network);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(mhdnn, library) {
    library.def(
        "network_energies(Tensor functions, Tensor element_index, Tensor species, Tensor linear_weight, Tensor scale, "
        "Tensor[] layers, str activation) -> Tensor",
        torch::dispatch(c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(network_energies)));
}

}  // namespace mhdnn
