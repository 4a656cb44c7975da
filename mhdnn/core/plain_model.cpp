// The model without libtorch: blocks of atoms of one element go from pair vectors to forces in one pass; with charges
// in three (electronegativities; energies; forces), between which functions and gradients by them are kept.
#include <algorithm>
#include <cmath>
#include <new>
#include <stdexcept>

#include "charge_terms.h"
#include "functions.h"
#include "model.h"
#include "network.h"
#include "order.h"
#include "repulsion.h"
#include "rigidity.h"
#include "threads.h"
#include "training_domain.h"

namespace mhdnn {
namespace {

// The working space of a thread.
template <class T>
struct Worker {
    Block<T> block;
    Views<T> views;
    std::vector<std::unique_ptr<FunctionGroup<T>>> groups;
    std::vector<Lanes<T>> functions, scaled, gradient;
    typename Network<T>::Space network;
    typename Rigidity<T>::Space rigidity;
    std::vector<Lanes<T>> sums;  // of scaled functions, of each element, lane by lane

    Worker(const Weights& weights, int num_elements) : views(block) {
        const GroupSource<T> source{weights, views, num_elements};
        const int num_parts = weights.integer("descriptor.num_parts", 1);
        for (int part = 0; part < num_parts; ++part)
            groups.push_back(make_group<T>(source, "descriptor." + std::to_string(part)));
        functions.resize(num_functions());
        scaled.resize(functions.size() + 1);  // one more for a charge
        gradient.resize(functions.size() + 1);
    }
    Worker(const Worker&) = delete;

    int num_functions() const {
        int result = 0;
        for (const auto& group : groups) result += group->num_functions();
        return result;
    }

    void load(const Pairs& pairs, const std::int64_t* centers, int count) {
        block.load(pairs, centers, count);
        views.load(block.gradient.data());
    }

    void evaluate_functions() {
        Lanes<T>* place = functions.data();
        for (const auto& group : groups) {
            group->evaluate(block.element, place);
            place += group->num_functions();
        }
    }

    void add_gradients(const Lanes<T>* cotangent) {
        for (const auto& group : groups) {
            group->add_gradients(block.element, cotangent);
            cotangent += group->num_functions();
        }
    }
};

template <class T>
class PlainModel : public Model {
public:
    PlainModel(Weights weights, const std::string& dtype);

    std::string engine() const override { return "plain C++"; }
    void set_pairs(const Pairs& pairs, Wanted wanted) override;
    const std::vector<char>& mark_outside(const std::vector<double>& charges) override;
    std::string why_outside(std::int64_t center, const std::vector<double>& charges) const override;
    std::string total_charge_outside(double total_charge) const override {
        return domain_.why_total_charge(total_charge);
    }
    bool knows_training_domain() const override { return domain_.is_complete(); }
    std::vector<double> grades() const override { return grades_; }
    std::vector<double> function_sums() const override;
    int num_functions() const override { return num_functions_; }
    std::vector<double> electronegativity() override { return electronegativity_; }
    std::vector<double> energies(const std::vector<double>& charges) override;
    std::vector<double> gradient_by_charge() const override { return by_charges_; }
    void add_forces(const std::vector<double>& response, ForceSums& sums) override;

private:
    static constexpr int width = Lanes<T>::width;

    int num_elements() const { return int(metadata_.elements.size()); }
    template <class Action>
    void for_each_block(Action action);
    void look(Worker<T>&, std::int64_t first);
    void mark(const Worker<T>&);
    void add_to_sums(Worker<T>&) const;
    void scale(Worker<T>&) const;
    void unscale(Lanes<T>* gradient) const;
    void short_range(Worker<T>&, std::int64_t block);
    void keep_for_charges(Worker<T>&, std::int64_t block);
    void energies_at(Worker<T>&, std::int64_t block, const std::vector<double>& charges);
    void forces_at(Worker<T>&, std::int64_t block, const std::vector<double>& response);
    void store_energies(const Block<T>&, Lanes<T> energies);

    Weights weights_;
    int num_functions_;
    std::vector<Lanes<T>> mean_, scale_;
    std::unique_ptr<Network<T>> network_, electronegativity_network_;
    TrainingDomain domain_;
    DistanceLimits distances_;
    std::vector<std::vector<T>> lower_, upper_;  // of each element's functions
    Repulsion repulsion_;
    Rigidity<T> rigidity_;
    ChargeTerms charge_terms_;
    std::vector<std::unique_ptr<Worker<T>>> workers_;

    // of the pairs that were set
    const Pairs* pairs_ = nullptr;
    Wanted wanted_;
    BlockOrder order_;
    std::vector<char> outside_;
    std::vector<double> grades_, energies_, electronegativity_, charges_, by_charges_;
    std::vector<T> gradient_;                                                     // by pair vectors
    std::vector<Lanes<T>> kept_functions_, kept_by_functions_, kept_of_charges_;  // of each block
};

template <class T>
PlainModel<T>::PlainModel(Weights weights, const std::string& dtype) : weights_(std::move(weights)) {
    metadata_.mhdnn_version = weights_.text("mhdnn_version");
    metadata_.dtype = dtype;
    metadata_.dispersion_left_out = weights_.text("dispersion_left_out");
    metadata_.elements = weights_.words("elements");
    if (metadata_.elements.empty()) weights_.refuse("elements", "names none");
    for (const std::int64_t number : weights_.indices("atomic_numbers", num_atomic_numbers + 1))
        metadata_.atomic_numbers.push_back(static_cast<int>(number));
    if (metadata_.atomic_numbers.size() != metadata_.elements.size())
        weights_.refuse("atomic_numbers", "has another size than the elements");
    metadata_.reference_energies = weights_.numbers<double>("energy.reference_energies", num_elements());
    metadata_.cutoff = weights_.positive("cutoff")[0];
    metadata_.charges = weights_.has("charges.hardness");
    workers_.push_back(std::make_unique<Worker<T>>(weights_, num_elements()));
    num_functions_ = workers_[0]->num_functions();
    for (const T value : weights_.numbers<T>("scaling.function_mean", num_functions_)) mean_.push_back(Lanes<T>(value));
    for (const T value : weights_.numbers<T>("scaling.function_scale", num_functions_))
        scale_.push_back(Lanes<T>(value));
    const int num_inputs = num_functions_ + (metadata_.charges ? 1 : 0);
    network_ = std::make_unique<Network<T>>(weights_, "network", num_elements(), num_inputs);
    domain_ = TrainingDomain(weights_, metadata_.elements, num_functions_, metadata_.cutoff);
    distances_ = DistanceLimits(
        metadata_.cutoff, weights_.limits("domain.distance_range", 2 * num_elements() * num_elements()),
        weights_.limits("domain.count_range", 4 * num_elements()), domain_.share_range());
    for (int element = 0; element < num_elements(); ++element) {
        lower_.emplace_back(domain_.lower(element), domain_.lower(element) + num_functions_);
        upper_.emplace_back(domain_.upper(element), domain_.upper(element) + num_functions_);
    }
    repulsion_ = Repulsion(weights_, num_elements());
    error_model_ = read_error_model(weights_, num_elements());
    if (!error_model_.offset.empty()) rigidity_ = Rigidity<T>(weights_, num_elements(), num_functions_);
    if (!metadata_.charges) return;
    charge_terms_ = ChargeTerms(weights_, num_elements());
    electronegativity_network_ =
        std::make_unique<Network<T>>(weights_, "electronegativity", num_elements(), num_functions_);
    widths_ = charge_terms_.widths;
    hardness_ = charge_terms_.hardness;
    metadata_.accuracy = charge_terms_.accuracy;
}

// action(worker, number of the block), on all threads.
template <class T>
template <class Action>
void PlainModel<T>::for_each_block(Action action) {
    const std::int64_t num_blocks = order_.num_blocks();
    const int num_threads = int(std::max<std::int64_t>(1, std::min<std::int64_t>(most_threads(), num_blocks)));
    while (int(workers_.size()) < num_threads)
        workers_.push_back(std::make_unique<Worker<T>>(weights_, num_elements()));
    for (auto& worker : workers_)
        for (auto& group : worker->groups) group->choose(order_.counts());
    for_each_piece(num_blocks, num_threads, [&](int thread, std::int64_t block) { action(*workers_[thread], block); });
}

template <class T>
void PlainModel<T>::set_pairs(const Pairs& pairs, Wanted wanted) {
    pairs_ = &pairs;
    wanted_ = wanted;
    wanted_.grades = wanted.grades && !error_model_.offset.empty();
    order_ = BlockOrder(pairs, num_elements(), width);
    outside_.assign(pairs.num_centers, 0);
    grades_.resize(wanted_.grades ? 2 * pairs.num_centers : 0);
    energies_.assign(pairs.num_centers, 0.0);
    gradient_.resize(3 * pairs.num_pairs());
    for (auto& worker : workers_) worker->sums.clear();
    if (!metadata_.charges)
        return for_each_block([this](Worker<T>& worker, std::int64_t block) { short_range(worker, block); });
    electronegativity_.resize(pairs.num_centers);
    const std::size_t size = order_.num_blocks() * num_functions_;
    for (auto* kept : {&kept_functions_, &kept_by_functions_, &kept_of_charges_}) kept->resize(size);
    for_each_block([this](Worker<T>& worker, std::int64_t block) { keep_for_charges(worker, block); });
}

// Functions of a block, scaled ones, marks and grades.
template <class T>
void PlainModel<T>::look(Worker<T>& worker, std::int64_t number) {
    const auto part = order_.block(number);
    worker.load(*pairs_, part.centers, part.count);
    worker.evaluate_functions();
    scale(worker);
    const Block<T>& block = worker.block;
    if (wanted_.marks) mark(worker);
    if (wanted_.sums) add_to_sums(worker);
    if (!wanted_.grades) return;
    double grades[2 * width];
    rigidity_.evaluate(block.element, worker.scaled.data(), block.num_atoms, grades, worker.rigidity);
    for (int lane = 0; lane < block.num_atoms; ++lane)
        std::copy(grades + 2 * lane, grades + 2 * lane + 2, &grades_[2 * block.centers[lane]]);
}

// Atoms of a block outside the training data, by functions and distances.
template <class T>
void PlainModel<T>::mark(const Worker<T>& worker) {
    using Bits = typename VectorTypes<T>::Bits;
    const Block<T>& block = worker.block;
    const T *const lower = lower_[block.element].data(), *const upper = upper_[block.element].data();
    Bits inside = ~Bits{};
    for (int f = 0; f < num_functions_; ++f) {  // false for what is no number, too
        const auto value = worker.functions[f].native;
        inside &= (Bits)(value >= Lanes<T>(lower[f]).native) & (Bits)(value <= Lanes<T>(upper[f]).native);
    }
    for (int lane = 0; lane < block.num_atoms; ++lane)
        outside_[block.centers[lane]] = !inside[lane] || distances_.is_outside(*pairs_, block.centers[lane]);
}

template <class T>
void PlainModel<T>::add_to_sums(Worker<T>& worker) const {
    worker.sums.resize(num_elements() * num_functions_, Lanes<T>(T(0)));
    Lanes<T>* const sums = &worker.sums[worker.block.element * num_functions_];
    if (worker.block.num_atoms == width) {
        for (int f = 0; f < num_functions_; ++f) sums[f] = sums[f] + worker.scaled[f];
        return;
    }
    for (int f = 0; f < num_functions_; ++f)
        for (int lane = 0; lane < worker.block.num_atoms; ++lane)
            sums[f].set(lane, sums[f][lane] + worker.scaled[f][lane]);
}

template <class T>
std::vector<double> PlainModel<T>::function_sums() const {
    std::vector<double> result(num_elements() * num_functions_, 0.0);
    for (const auto& worker : workers_)
        for (std::size_t i = 0; i < worker->sums.size(); ++i)
            for (int lane = 0; lane < width; ++lane) result[i] += double(worker->sums[i][lane]);
    return result;
}

template <class T>
void PlainModel<T>::scale(Worker<T>& worker) const {
    for (int f = 0; f < num_functions_; ++f) worker.scaled[f] = (worker.functions[f] - mean_[f]) * scale_[f];
}

template <class T>
void PlainModel<T>::unscale(Lanes<T>* gradient) const {
    for (int f = 0; f < num_functions_; ++f) gradient[f] = gradient[f] * scale_[f];
}

template <class T>
void PlainModel<T>::store_energies(const Block<T>& block, Lanes<T> energies) {
    for (int lane = 0; lane < block.num_atoms; ++lane)
        energies_[block.centers[lane]] = double(energies[lane]) + metadata_.reference_energies[block.element];
}

template <class T>
void PlainModel<T>::short_range(Worker<T>& worker, std::int64_t number) {
    look(worker, number);
    const Block<T>& block = worker.block;
    std::fill(worker.gradient.begin(), worker.gradient.end(), Lanes<T>(T(0)));
    store_energies(
        block, network_->evaluate(block.element, worker.scaled.data(), worker.gradient.data(), worker.network));
    unscale(worker.gradient.data());
    worker.add_gradients(worker.gradient.data());
    block.store_gradient(*pairs_, gradient_.data());
    if (repulsion_.squared_reach() == 0.0) return;
    for (int lane = 0; lane < block.num_atoms; ++lane)
        energies_[block.centers[lane]] += repulsion_.add(*pairs_, block.centers[lane], gradient_.data());
}

template <class T>
void PlainModel<T>::keep_for_charges(Worker<T>& worker, std::int64_t number) {
    look(worker, number);
    const Block<T>& block = worker.block;
    std::copy(worker.scaled.begin(), worker.scaled.begin() + num_functions_, &kept_functions_[number * num_functions_]);
    Lanes<T>* const gradient = &kept_of_charges_[number * num_functions_];
    std::fill(gradient, gradient + num_functions_, Lanes<T>(T(0)));
    const Lanes<T> values =
        electronegativity_network_->evaluate(block.element, worker.scaled.data(), gradient, worker.network);
    const T shift = T(charge_terms_.shift[block.element]);
    for (int lane = 0; lane < block.num_atoms; ++lane)
        electronegativity_[block.centers[lane]] = double(values[lane] + shift);
}

template <class T>
std::vector<double> PlainModel<T>::energies(const std::vector<double>& charges) {
    if (!metadata_.charges) return energies_;
    charges_ = charges;
    by_charges_.assign(charges.size(), 0.0);
    for_each_block([&](Worker<T>& worker, std::int64_t block) { energies_at(worker, block, charges); });
    charge_terms_.add_screening(*pairs_, charges, energies_, by_charges_);
    return energies_;
}

template <class T>
void PlainModel<T>::energies_at(Worker<T>& worker, std::int64_t number, const std::vector<double>& charges) {
    const auto part = order_.block(number);
    Block<T>& block = worker.block;
    block.centers = part.centers;
    block.num_atoms = part.count;
    block.element = pairs_->element[part.centers[0]];
    const Lanes<T>* const kept = &kept_functions_[number * num_functions_];
    std::copy(kept, kept + num_functions_, worker.scaled.begin());
    Lanes<T>& charge = worker.scaled[num_functions_];
    charge = Lanes<T>(T(0));
    const T mean = T(charge_terms_.mean[block.element]), scale = T(charge_terms_.scale);
    for (int lane = 0; lane < block.num_atoms; ++lane)
        charge.set(lane, (T(charges[part.centers[lane]]) - mean) * scale);
    std::fill(worker.gradient.begin(), worker.gradient.end(), Lanes<T>(T(0)));
    store_energies(
        block, network_->evaluate(block.element, worker.scaled.data(), worker.gradient.data(), worker.network));
    std::copy(worker.gradient.begin(), worker.gradient.end() - 1, &kept_by_functions_[number * num_functions_]);
    for (int lane = 0; lane < block.num_atoms; ++lane) {
        const std::int64_t center = part.centers[lane];
        by_charges_[center] = double(worker.gradient[num_functions_][lane] * scale);
        if (repulsion_.squared_reach() > 0.0)  // the gradient is written once all is known
            energies_[center] += repulsion_.add(*pairs_, center, gradient_.data());
    }
}

template <class T>
void PlainModel<T>::forces_at(Worker<T>& worker, std::int64_t number, const std::vector<double>& response) {
    const auto part = order_.block(number);
    worker.load(*pairs_, part.centers, part.count);
    worker.evaluate_functions();  // which leaves the moments that the gradients need
    Lanes<T> answer(T(0));
    for (int lane = 0; lane < part.count; ++lane) answer.set(lane, T(response[part.centers[lane]]));
    const std::int64_t place = number * num_functions_;
    for (int f = 0; f < num_functions_; ++f)
        worker.gradient[f] = kept_by_functions_[place + f] + answer * kept_of_charges_[place + f];
    unscale(worker.gradient.data());
    worker.add_gradients(worker.gradient.data());
    worker.block.store_gradient(*pairs_, gradient_.data());
    for (int lane = 0; lane < part.count; ++lane) {
        charge_terms_.add_gradient(*pairs_, charges_, part.centers[lane], gradient_.data());
        if (repulsion_.squared_reach() > 0.0) repulsion_.add(*pairs_, part.centers[lane], gradient_.data());
    }
}

template <class T>
void PlainModel<T>::add_forces(const std::vector<double>& response, ForceSums& sums) {
    if (metadata_.charges)
        for_each_block([&](Worker<T>& worker, std::int64_t block) { forces_at(worker, block, response); });
    add_pair_gradients(*pairs_, gradient_.data(), sums);
}

template <class T>
const std::vector<char>& PlainModel<T>::mark_outside(const std::vector<double>& charges) {
    for (std::size_t center = 0; center < charges.size(); ++center)
        outside_[center] |= domain_.charge_is_outside(charges[center], pairs_->element[center]);
    return outside_;
}

template <class T>
std::string PlainModel<T>::why_outside(std::int64_t center, const std::vector<double>& charges) const {
    Worker<T>& worker = *workers_[0];
    worker.load(*pairs_, &center, 1);
    worker.evaluate_functions();
    std::vector<double> functions;
    for (const Lanes<T>& value : worker.functions) functions.push_back(double(value[0]));
    return domain_.why_outside(*pairs_, center, functions.data(), charges.empty() ? nullptr : &charges[center]);
}

}  // namespace

std::unique_ptr<Model> open_plain_model(const std::string& content, const std::string& path, const std::string& dtype) {
    if (dtype != "model" && dtype != "float32" && dtype != "float64")
        throw std::runtime_error("dtype: expected model, float32 or float64, got " + dtype);
    WeightRecords records = read_weights(content, path);
    try {
        Weights weights(records.text, std::move(records.numbers));
        const std::string chosen = dtype == "model" ? weights.text("dtype") : dtype;
        if (chosen == "float32") return std::make_unique<PlainModel<float>>(std::move(weights), chosen);
        if (chosen == "float64") return std::make_unique<PlainModel<double>>(std::move(weights), chosen);
        weights.refuse("dtype", "is " + chosen + ", expected float32 or float64");
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& problem) {
        throw std::runtime_error(path + ": " + problem.what());
    }
}

}  // namespace mhdnn
