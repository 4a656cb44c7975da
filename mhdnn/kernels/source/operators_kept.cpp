// A training step of structures of which all but the networks' part is kept (mhdnn/training/kept.py), as one function
// of the parameters with an analytic gradient. Of a dozen atoms everything is a few hundred numbers, for which autograd
// and torch's own operations take several times as long as the arithmetic. For one structure, with R as there,
//
//     χ = N_χ(x),  M q + µ = -χ,  u = ∂E/∂q of all parts,  M λ + ν = u (Σ λ = 0)
//     F = known + R (∂E/∂x - λ ∂χ/∂x) - ∂(½ q - λ) A q/∂r + screening of pairs
//
// and of a loss with cotangents of E, F and q the gradient is found backwards: second derivatives of the networks along
// c = Rᵀ F' (`second_gradients`), a derivative of A along F' (`moved_products`), and two more solutions with M. On the
// CPU; on a GPU the Python formulas are used.
#include "operators_kept.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

#include "equilibration.h"
#include "kept_forces.h"
#include "last_derivative.h"

namespace mhdnn {
namespace {

using networks::Adjoints;
using networks::Network;
using networks::Passed;
using networks::Tensors;
using networks::variable_list;
using torch::autograd::AutogradContext;

const char* const once =
    "what is kept of structures is differentiated once by parameters; another derivative was asked for";

at::Tensor plain(const at::Tensor& tensor) { return tensor.to(at::kDouble).contiguous(); }

Network network_of(
    const Tensors& list, std::string activation, const at::Tensor& functions, const at::Tensor& element) {
    return {
        functions, element, list[0], list[1], list[2], Tensors(list.begin() + 3, list.end()), std::move(activation)};
}

// Appends the gradients of what `network_of` is given.
void append(const variable_list& gradients, variable_list& result) {
    result.insert(result.end(), gradients.begin() + 2, gradients.end());
}

struct KeptCharges : torch::CustomClassHolder {
    Equilibration equilibration;
    Tensors results;  // handed over to autograd

    explicit KeptCharges(Equilibration made) : equilibration(std::move(made)) {}

    variable_list gradients(const Values& by_charges) const {
        const Equilibration& own = equilibration;
        const Values adjoint = own.adjoint(by_charges), by_chi = minus(adjoint);
        Values by_hardness = by_chi;
        for (std::size_t atom = 0; atom < by_chi.size(); ++atom) by_hardness[atom] *= own.charges[atom];
        const at::Tensor u = as(own.network.functions, by_chi);
        variable_list found(own.network.all().size()), result;
        networks::first_gradients(own.network, own.passed, networks::adjoints_of(own.network, own.passed, u), u, found);
        append(found, result);
        own.append_own(by_chi, by_hardness, result);
        return result;
    }
};

struct KeptPrediction : torch::CustomClassHolder {
    Network network;
    Passed passed;
    Adjoints adjoints, charge_adjoints;
    std::optional<Equilibration> equilibration;
    at::Tensor one, response;  // cotangents of energies, and of electronegativities (-λ)
    Values adjoint, potential, self;
    at::Tensor scale;  // of the charges among the inputs
    Pairs pairs;
    Tensors responses, results;  // the latter are handed over to autograd

    std::int64_t num_kept() const { return network.num_functions() - (equilibration ? 1 : 0); }

    void see_charges(const Tensors& charges, const at::Tensor& structure) {
        self = values_of(charges[3]);
        scale = charges[5];
        pairs = {plain(charges[6]), charges[7], charges[8], structure};
        const at::Tensor mean = charges[4].index_select(0, network.element);
        const at::Tensor scaled = as(network.functions, equilibration->charges).sub_(mean).mul_(scale);
        network.functions = at::cat({network.functions, scaled.unsqueeze(1)}, 1);
    }

    // known: reference energies, energies, forces, virial
    Tensors predict(const Tensors& known) {
        at::Tensor energies = networks::energies(network, passed).to(at::kDouble, false, true);
        energies.add_(known[0].index_select(0, network.element)).add_(known[1]);
        one = at::ones({energies.size(0)}, network.functions.options());
        adjoints = networks::adjoints_of(network, passed, one);
        at::Tensor by_functions = networks::by_functions(network, passed, adjoints, one);
        at::Tensor forces = known[2].to(at::kDouble, false, true).contiguous();
        at::Tensor virial = known[3].to(at::kDouble, false, true).contiguous();
        double *const force = forces.mutable_data_ptr<double>(), *const stress = virial.mutable_data_ptr<double>();
        if (equilibration) {
            respond(by_functions.select(1, num_kept()), energies.mutable_data_ptr<double>());
            const Equilibration& own = *equilibration;
            response = as(network.functions, minus(adjoint));
            charge_adjoints = networks::adjoints_of(own.network, own.passed, response);
            by_functions = networks::by_functions(own.network, own.passed, charge_adjoints, response)
                               .add_(by_functions.narrow(1, 0, num_kept()));
            add_forces_of_charges(force, stress);
        }
        add_responses(by_functions, responses, force, stress);
        Tensors result = {energies, forces, virial};
        if (equilibration) result.push_back(tensor_of(equilibration->charges, energies.sizes()));
        return result;
    }

    variable_list gradients(
        const at::Tensor& by_energies, const at::Tensor& by_forces, const at::Tensor& by_virial,
        const at::Tensor& by_charges) const {
        const at::Tensor f = plain(by_forces), w = plain(by_virial);
        const std::int64_t kept = num_kept();
        at::Tensor along = by_inputs(at::empty({one.size(0), kept}, one.options()), responses, f, w);
        const at::Tensor v = by_energies.to(one.scalar_type());
        variable_list found(network.all().size()), result;
        if (!equilibration) {
            networks::second_gradients(network, passed, adjoints, one, along, v, kept, found);
            append(found, result);
            return result;
        }
        const Equilibration& own = *equilibration;
        variable_list of_charges(own.network.all().size());
        Values by_q = values_of(by_charges), by_adjoint(by_q.size()), by_hardness(by_q.size());
        add_moved_products(f, w, by_q, by_adjoint);
        const Values energy_weights = values_of(by_energies);
        add_by_energies(energy_weights, by_q);
        const Values by_response = values_of(
            networks::second_gradients(
                own.network, own.passed, charge_adjoints, response, along, {}, kept, of_charges));
        for (std::size_t atom = 0; atom < by_q.size(); ++atom) by_adjoint[atom] -= by_response[atom];
        const Values by_slope = own.adjoint(by_adjoint);  // by u
        add_by_slopes(by_slope, by_q);
        add_by_products(energy_weights, f, w, by_q);
        const at::Tensor last = as(one, by_slope).mul_(scale);
        networks::second_gradients(
            network, passed, adjoints, one, at::cat({along, last.unsqueeze(1)}, 1), v, kept, found);
        const Values through_network = values_of(found[0].select(1, 0).mul(scale));
        for (std::size_t atom = 0; atom < by_q.size(); ++atom) by_q[atom] += through_network[atom];
        const Values by_chi = minus(own.adjoint(by_q));
        for (std::size_t atom = 0; atom < by_q.size(); ++atom)
            by_hardness[atom] = by_chi[atom] * own.charges[atom] - by_slope[atom] * adjoint[atom];
        append(found, result);
        append_network_of_charges(by_chi, of_charges, result);
        own.append_own(by_chi, by_hardness, result);
        return result;
    }

private:
    // Energies of charges, u = ∂E/∂q of all parts, and the adjoint charges.
    void respond(const at::Tensor& by_scaled_charge, double* energies) {
        const Values& q = equilibration->charges;
        potential = equilibration->potential(q);
        Values slope = values_of(by_scaled_charge.mul(scale));
        for (std::size_t atom = 0; atom < q.size(); ++atom) {
            energies[atom] += (0.5 * potential[atom] + self[atom] * q[atom]) * q[atom];
            slope[atom] += potential[atom] + 2.0 * self[atom] * q[atom];
        }
        pairs.for_each([&](std::int64_t i, std::int64_t j, std::int64_t, const double* terms) {
            energies[i] += terms[0] * q[i] * q[j];
            slope[i] += terms[0] * q[j];
            slope[j] += terms[0] * q[i];
        });
        adjoint = equilibration->adjoint(slope);
    }

    // ½ q - λ
    Values partners() const {
        Values result = minus(adjoint);
        for (std::size_t atom = 0; atom < result.size(); ++atom) result[atom] += 0.5 * equilibration->charges[atom];
        return result;
    }

    void add_forces_of_charges(double* force, double* stress) const {
        const Values& q = equilibration->charges;
        const Batch& batch = equilibration->structures->batch;
        const Values left = partners();
        Values by_positions(3 * q.size()), by_strain(9 * batch.num_structures());
        for_each_structure(
            batch, [&](std::int64_t structure) { batch.derivatives(structure, left, q, by_positions, by_strain); });
        add_electrostatics(by_positions, by_strain, force, stress);
        pairs.for_each([&](std::int64_t i, std::int64_t j, std::int64_t structure, const double* terms) {
            const double product = q[i] * q[j];
            for (int axis = 0; axis < 3; ++axis) {
                force[3 * i + axis] += product * terms[1 + axis];
                force[3 * j + axis] -= product * terms[1 + axis];
            }
            for (int c = 0; c < 6; ++c) stress[6 * structure + c] += product * terms[4 + c];
        });
    }

    // Of the forces of electrostatics, by q and by λ.
    void add_moved_products(const at::Tensor& f, const at::Tensor& w, Values& by_q, Values& by_adjoint) const {
        const Values& q = equilibration->charges;
        const Batch& batch = equilibration->structures->batch;
        const Values displacements = minus(values_of(f)), strain = by_strain(w), left = partners();
        Values by_left(q.size()), by_right(q.size());
        for_each_structure(batch, [&](std::int64_t structure) {
            batch.moved_products(structure, displacements, strain, left, q, by_left, by_right);
        });
        for (std::size_t atom = 0; atom < q.size(); ++atom) {
            by_q[atom] += 0.5 * by_left[atom] + by_right[atom];
            by_adjoint[atom] -= by_left[atom];
        }
    }

    // Of electrostatic and self energies, by q.
    void add_by_energies(const Values& weights, Values& by_q) const {
        const Values& q = equilibration->charges;
        Values weighted(q);
        for (std::size_t atom = 0; atom < q.size(); ++atom) weighted[atom] *= weights[atom];
        const Values image = equilibration->potential(weighted);
        for (std::size_t atom = 0; atom < q.size(); ++atom)
            by_q[atom] += 0.5 * (weights[atom] * potential[atom] + image[atom]) + 2.0 * self[atom] * weighted[atom];
    }

    // Of u without the network's part, by q.
    void add_by_slopes(const Values& by_slope, Values& by_q) const {
        const Values image = equilibration->potential(by_slope);
        for (std::size_t atom = 0; atom < by_q.size(); ++atom)
            by_q[atom] += image[atom] + 2.0 * self[atom] * by_slope[atom];
        pairs.for_each([&](std::int64_t i, std::int64_t j, std::int64_t, const double* terms) {
            by_q[i] += terms[0] * by_slope[j];
            by_q[j] += terms[0] * by_slope[i];
        });
    }

    // Of energies, forces and virial of screened pairs, by q.
    void add_by_products(const Values& weights, const at::Tensor& f, const at::Tensor& w, Values& by_q) const {
        const Values& q = equilibration->charges;
        const double *const force = f.const_data_ptr<double>(), *const stress = w.const_data_ptr<double>();
        pairs.for_each([&](std::int64_t i, std::int64_t j, std::int64_t structure, const double* terms) {
            double sum = weights[i] * terms[0];
            for (int axis = 0; axis < 3; ++axis) sum += terms[1 + axis] * (force[3 * i + axis] - force[3 * j + axis]);
            for (int c = 0; c < 6; ++c) sum += terms[4 + c] * stress[6 * structure + c];
            by_q[i] += sum * q[j];
            by_q[j] += sum * q[i];
        });
    }

    // What reaches N_χ along the forces, and through q.
    void append_network_of_charges(const Values& by_chi, const variable_list& along, variable_list& result) const {
        const Equilibration& own = *equilibration;
        const at::Tensor u = as(one, by_chi);
        variable_list through(along.size());
        networks::first_gradients(
            own.network, own.passed, networks::adjoints_of(own.network, own.passed, u), u, through);
        for (std::size_t number = 2; number < along.size(); ++number)
            if (along[number].defined()) through[number].add_(along[number]);
        append(through, result);
    }
};

// A result with its gradients by variables, which a state finds.
template <class State>
class Differentiated : public torch::autograd::Function<Differentiated<State>> {
public:
    static variable_list forward(
        AutogradContext* context, at::TensorList variables, const c10::intrusive_ptr<State>& state) {
        context->save_for_backward(variables.vec());
        context->saved_data["state"] = c10::IValue::make_capsule(state);
        return std::move(state->results);
    }

    static variable_list backward(AutogradContext* context, const variable_list& cotangents) {
        variable_list given = context->get_saved_variables();  // complains about those that were changed
        const auto capsule = context->saved_data["state"].toCapsule();
        variable_list gradients;
        {
            at::AutoDispatchBelowADInplaceOrView guard;
            gradients = gradients_of(static_cast<const State&>(*capsule), cotangents);
        }
        given.insert(given.end(), cotangents.begin(), cotangents.end());
        gradients = last_derivative(given, gradients, once);
        gradients.resize(gradients.size() + 1);  // of the state
        return gradients;
    }

private:
    static variable_list gradients_of(const KeptCharges& state, const variable_list& cotangents) {
        return state.gradients(values_of(cotangents[0]));
    }
    static variable_list gradients_of(const KeptPrediction& state, const variable_list& cotangents) {
        return state.gradients(
            cotangents[0], cotangents[1], cotangents[2], cotangents.size() > 3 ? cotangents[3] : at::Tensor());
    }
};

}  // namespace

at::Tensor kept_charges(
    const std::vector<at::Tensor>& network, std::string activation, const std::vector<at::Tensor>& atoms,
    const std::vector<at::Tensor>& charges, const Handle& structures, double tolerance) {
    const c10::impl::ExcludeDispatchKeyGuard in_own_precision(c10::autocast_dispatch_keyset);
    Tensors variables = network;
    variables.insert(variables.end(), {charges[0], charges[1]});
    c10::intrusive_ptr<KeptCharges> state;
    {
        at::AutoDispatchBelowADInplaceOrView guard;
        state = c10::make_intrusive<KeptCharges>(Equilibration(
            network_of(network, std::move(activation), atoms[0], atoms[1]), charges, structures, tolerance));
        state->results = {tensor_of(state->equilibration.charges, {atoms[0].size(0)})};
    }
    return Differentiated<KeptCharges>::apply(at::TensorList(variables), state)[0];
}

std::vector<at::Tensor> kept_prediction(
    const std::vector<at::Tensor>& network, std::string activation, const std::vector<at::Tensor>& atoms,
    const std::vector<at::Tensor>& known, const std::vector<at::Tensor>& responses,
    const std::vector<at::Tensor>& charge_network, std::string charge_activation,
    const std::vector<at::Tensor>& charges, const std::optional<Handle>& structures, double tolerance) {
    const c10::impl::ExcludeDispatchKeyGuard in_own_precision(c10::autocast_dispatch_keyset);
    Tensors variables = network;
    const auto state = c10::make_intrusive<KeptPrediction>();
    {
        at::AutoDispatchBelowADInplaceOrView guard;
        state->network = network_of(network, std::move(activation), atoms[0], atoms[1]);
        state->responses = responses;
        if (structures) {
            state->equilibration.emplace(
                network_of(charge_network, std::move(charge_activation), atoms[0], atoms[1]), charges, *structures,
                tolerance);
            state->see_charges(charges, atoms[2]);
            variables.insert(variables.end(), charge_network.begin(), charge_network.end());
            variables.insert(variables.end(), {charges[0], charges[1]});
        }
        state->results = state->predict(known);
    }
    return Differentiated<KeptPrediction>::apply(at::TensorList(variables), state);
}

}  // namespace mhdnn
