// The model file through libtorch: for GPUs, and files without plain weights.
#include "torch_model.h"

#include "archive.h"
#include "training_domain.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/cuda.h>
#include <torch/script.h>

#include <iterator>
#include <sstream>
#include <stdexcept>

namespace mhdnn {
namespace {

// Formats of mhdnn.deploy.model_file and mhdnn.deploy.older_format.
constexpr int without_parts = 4;  // charges are methods of the potential
constexpr int oldest_format = 3;  // ranges of all elements together
// Metadata in files of their own; mhdnn.deploy.model_file.PLAIN_TEXTS.
constexpr const char* plain_texts[] = {"format_version",     "mhdnn_version", "dtype",   "elements",
                                       "reference_energies", "cutoff",        "charges", "dispersion_left_out"};

using torch::Tensor;

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

template <typename T>
Tensor view(const std::vector<T>& values, c10::IntArrayRef shape) {
    return torch::from_blob(const_cast<T*>(values.data()), shape, c10::CppTypeToScalarType<T>::value);
}

std::vector<double> numbers(const Tensor& tensor) {
    const Tensor flat = tensor.detach().to(torch::kCPU, torch::kDouble).contiguous();
    const double* first = flat.const_data_ptr<double>();
    return {first, first + flat.numel()};
}

// The first line of an error of torch, which may go on with a trace through TorchScript.
std::string first_line(const std::exception& error) {
    const std::string text = error.what();
    const auto start = text.find_first_not_of('\n');
    return start == std::string::npos ? text : text.substr(start, text.find('\n', start) - start);
}

// A record of an archive, by the name that stands in its directory; torch leaves out the first folder.
std::string unpacked(const std::string& file, const std::string& name, const std::string& path) {
    try {
        std::istringstream stream(file);
        caffe2::serialize::PyTorchStreamReader reader(&stream);
        const auto [data, size] = reader.getRecord(name.substr(name.find('/') + 1));
        return {static_cast<const char*>(data.get()), size};
    } catch (const std::exception& error) {
        fail(path + ": not a model file (" + first_line(error) + "); expected TorchScript written by `mhdnn export`");
    }
}

template <typename T>
std::vector<T> words(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<T>(stream), std::istream_iterator<T>()};
}

void parse(const torch::jit::ExtraFilesMap& files, const std::string& path, Metadata& result, int& version) {
    const auto text = [&files](const std::string& name) { return files.at(name + ".txt"); };
    version = checked_format(text("format_version"), path);
    result.mhdnn_version = text("mhdnn_version");
    result.dtype = text("dtype");
    result.elements = words<std::string>(text("elements"));
    result.reference_energies = words<double>(text("reference_energies"));
    result.cutoff = std::stod(text("cutoff"));
    result.charges = text("charges") == "1";
    result.dispersion_left_out = text("dispersion_left_out");
}

torch::ScalarType scalar_type(const std::string& dtype) {
    if (dtype == "float32") return torch::kFloat;
    if (dtype == "float64") return torch::kDouble;
    fail("dtype: expected model, float32 or float64, got " + dtype);
}

torch::Device choose_device(const std::string& name) {
    if (name != "cpu" && name.rfind("cuda", 0) != 0) fail("device: expected cpu or cuda, got " + name);
    if (name != "cpu" && !torch::cuda::is_available())
        fail("device " + name + ": no GPU that this libtorch can use; choose device cpu");
    return torch::Device(name);
}

class TorchModel : public Model {
public:
    TorchModel(const std::string& path, const std::string& device, const std::string& dtype);

    std::string engine() const override { return "libtorch on " + device_.str(); }
    void set_pairs(const Pairs& pairs, Wanted wanted) override;
    const std::vector<char>& mark_outside(const std::vector<double>& charges) override;
    std::string why_outside(std::int64_t center, const std::vector<double>& charges) const override;
    std::string total_charge_outside(double total_charge) const override;
    bool knows_training_domain() const override;
    std::vector<double> grades() const override;
    std::vector<double> electronegativity() override;
    std::vector<double> energies(const std::vector<double>& charges) override;
    std::vector<double> gradient_by_charge() const override { return numbers(by_charges_); }
    void add_forces(const std::vector<double>& response, ForceSums& sums) override;

private:
    torch::jit::Module module_;
    int format_version_ = 0;
    torch::Device device_ = torch::kCPU;
    Tensor atomic_numbers_;  // of the elements

    DistanceLimits distances_;    // of the training data
    double squared_reach_ = 0.0;  // of the repulsion of nuclei, Å²

    // of the pairs_ that were set
    const Pairs* pairs_ = nullptr;
    std::int64_t num_centers_ = 0;
    Tensor vectors_, symmetry_functions_, functions_, leaf_;  // scaled; `leaf_`: as variables of the networks
    std::vector<char> outside_;
    Tensor center_, neighbor_, element_, center_element_;
    // of the evaluation
    Tensor electronegativities_, by_functions_, by_vectors_, by_charges_;

    Tensor call(const char* name, std::vector<c10::IValue> arguments) const {
        return module_.get_method(name)(std::move(arguments)).toTensor();
    }

    bool is_oldest() const { return format_version_ == oldest_format; }
    bool has_parts() const { return format_version_ > without_parts; }

    torch::jit::Module charge_model() const { return has_parts() ? module_.attr("charge_model").toModule() : module_; }

    // By which older formats ask about charges.
    Tensor elements_or_numbers(const Tensor& elements) const {
        return has_parts() ? elements : atomic_numbers_.index_select(0, elements);
    }

    template <typename... Arguments>
    c10::IValue ask_domain(const char* name, Arguments... arguments) const {
        return module_.attr("domain").toModule().get_method(name)({c10::IValue(arguments)...});
    }

    // The bytes that are verified are those that are loaded.
    void load(const std::string& path) {
        const std::string file = read_file(path);
        torch::jit::ExtraFilesMap extra;
        for (const std::string name : plain_texts) extra[name + ".txt"] = "";
        verify(file, path, [&file, &path](const std::string& name) { return unpacked(file, name, path); });
        try {
            std::istringstream stream(file);
            module_ = torch::jit::load(stream, device_, extra);
        } catch (const std::exception& error) {
            fail(
                path + ": not a model file (" + first_line(error) +
                "); expected TorchScript written by `mhdnn export`");
        }
        parse(extra, path, metadata_, format_version_);
        module_.eval();
    }

    void prepare(const std::string& chosen) {
        if (chosen != "model" && chosen != metadata_.dtype) convert(scalar_type(chosen));
        if (chosen != "model") metadata_.dtype = chosen;
        for (auto parameter : module_.parameters()) parameter.set_requires_grad(false);
        const Tensor known = module_.attr("element_of_atomic_number").toTensor();
        atomic_numbers_ = torch::nonzero(known >= 0).squeeze(1);
        if (!is_oldest()) {
            const auto domain = module_.attr("domain").toModule();
            distances_ = {
                metadata_.cutoff, numbers(domain.attr("distance_range").toTensor()),
                numbers(domain.attr("count_range").toTensor()),
                domain.hasattr("share_range") ? numbers(domain.attr("share_range").toTensor()) : std::vector<double>()};
        }
        if (module_.hasattr("repulsion") && module_.attr("repulsion").isModule())
            squared_reach_ =
                module_.attr("repulsion").toModule().attr("outer").toTensor().max().square().item<double>();
        read_error_model();
        if (!metadata_.charges) return;
        const auto part = charge_model();
        widths_ = numbers(part.attr("widths").toTensor());
        const Tensor every = torch::arange(atomic_numbers_.size(0), atomic_numbers_.options());
        hardness_ = numbers(part.get_method("hardness")({elements_or_numbers(every)}).toTensor());
        metadata_.accuracy = part.attr("accuracy").toDouble();
    }

    void read_error_model() {
        if (!module_.hasattr("uncertainty")) return;
        const auto part = module_.attr("uncertainty").toModule();
        if (!part.get_method("is_fitted")({}).toBool()) return;
        const auto values = [&part](const char* name) { return numbers(part.attr(name).toTensor()); };
        error_model_ = {values("offset"),         values("least_error"),      values("weights"),
                        values("force_floor")[0], values("largest_error")[0], part.attr("outside_factor").toDouble()};
        if (!part.hasattr("alone")) return;
        error_model_.alone = part.attr("alone").toDouble();
        error_model_.foreign_from = part.attr("foreign_from").toDouble();
        error_model_.steepness = part.attr("steepness").toDouble();
    }

    void add_marks(const Tensor& given) {
        const Tensor marks = given.to(torch::kCPU).contiguous();
        const bool* const found = marks.const_data_ptr<bool>();
        for (std::int64_t center = 0; center < num_centers_; ++center) outside_[center] |= found[center];
    }

    // Of nuclei, for each centre; undefined if no pair is near enough.
    Tensor repulsion() const {
        std::vector<std::int64_t> near;
        for (std::int64_t pair = 0; squared_reach_ > 0.0 && pair < pairs_->num_pairs(); ++pair) {
            if (squared_length(&pairs_->vectors[3 * pair]) < squared_reach_) near.push_back(pair);
        }
        if (near.empty()) return Tensor();
        // a copy: the graph of derivatives keeps it
        const Tensor chosen = view(near, {static_cast<std::int64_t>(near.size())}).clone().to(device_);
        return module_.attr("repulsion")
            .toModule()
            .forward(
                {vectors_.index_select(0, chosen), center_.index_select(0, chosen), neighbor_.index_select(0, chosen),
                 element_, num_centers_})
            .toTensor();
    }

    // Another precision of the networks and functions; reference energies, widths, ranges, the repulsion of nuclei and
    // the calibration of errors are always float64.
    void convert(torch::ScalarType dtype) {
        const auto change = [dtype](const std::string& name, Tensor tensor) {
            const bool is_calibration = name.rfind("uncertainty.", 0) == 0 && tensor.dim() < 2;  // no matrix
            const std::string last = name.substr(name.rfind('.') + 1);
            if (tensor.is_floating_point() && last != "reference_energies" && last != "widths" &&
                name.rfind("domain.", 0) != 0 && name.rfind("repulsion.", 0) != 0 && !is_calibration)
                tensor.set_data(tensor.to(dtype));
        };
        for (const auto& parameter : module_.named_parameters()) change(parameter.name, parameter.value);
        for (const auto& buffer : module_.named_buffers()) change(buffer.name, buffer.value);
    }
};

TorchModel::TorchModel(const std::string& path, const std::string& device, const std::string& dtype)
    : device_(choose_device(device)) {
    torch::jit::getProfilingMode() = false;  // shapes change from step to step: never specialise to them
    load(path);
    prepare(dtype);
}

void TorchModel::set_pairs(const Pairs& pairs, Wanted) {
    pairs_ = &pairs;
    num_centers_ = pairs.num_centers;
    std::vector<std::int64_t> centers(pairs.num_pairs());
    for (std::int64_t center = 0; center < num_centers_; ++center)
        std::fill(centers.begin() + pairs.first[center], centers.begin() + pairs.first[center + 1], center);
    const auto indices = [this](const auto& values) {
        return view(values, {static_cast<std::int64_t>(values.size())}).to(device_, torch::kLong, false, /*copy=*/true);
    };
    vectors_ = view(pairs.vectors, {pairs.num_pairs(), 3}).to(device_).requires_grad_(true);
    center_ = indices(centers);
    neighbor_ = indices(pairs.neighbor);
    element_ = indices(pairs.element);
    center_element_ = element_.slice(0, 0, num_centers_);
    symmetry_functions_ = call(
        is_oldest() ? "scaled_functions" : "symmetry_functions",
        {vectors_, center_, neighbor_, element_, num_centers_});
    functions_ = is_oldest() ? symmetry_functions_ : call("scaled", {symmetry_functions_});
    leaf_ = functions_.detach().requires_grad_(true);
    electronegativities_ = by_functions_ = by_vectors_ = by_charges_ = Tensor();
}

bool TorchModel::knows_training_domain() const { return !is_oldest() && ask_domain("is_complete").toBool(); }

const std::vector<char>& TorchModel::mark_outside(const std::vector<double>& charges) {
    if (!charges.empty()) {
        if (is_oldest()) return outside_;
        const Tensor own = view(charges, {num_centers_}).to(device_);
        add_marks(ask_domain("charges_outside", own, center_element_).toTensor());
        return outside_;
    }
    outside_.assign(num_centers_, 0);
    const Tensor functions = symmetry_functions_.detach();
    if (is_oldest()) {
        add_marks(call("outside_training", {functions}));
        return outside_;
    }
    add_marks(ask_domain("functions_outside", functions, center_element_).toTensor());
    for (std::int64_t center = 0; center < num_centers_; ++center)
        outside_[center] |= distances_.is_outside(*pairs_, center);
    return outside_;
}

std::string TorchModel::why_outside(std::int64_t center, const std::vector<double>& charges) const {
    if (is_oldest()) return "a symmetry function";
    c10::IValue own;
    if (!charges.empty()) own = view(charges, {num_centers_}).to(device_);
    const Tensor functions = symmetry_functions_.detach(), vectors = vectors_.detach();
    return ask_domain("why_outside", center, functions, vectors, center_, neighbor_, element_, own).toStringRef();
}

std::string TorchModel::total_charge_outside(double total_charge) const {
    if (is_oldest()) return "";
    return ask_domain("total_charge_outside", total_charge).toStringRef();
}

std::vector<double> TorchModel::grades() const {
    const auto part = module_.attr("uncertainty").toModule();
    return numbers(part.get_method("grades")({leaf_.detach(), center_element_}).toTensor());
}

std::vector<double> TorchModel::electronegativity() {
    const auto method = charge_model().get_method(has_parts() ? "electronegativity" : "electronegativity_of");
    electronegativities_ = method({leaf_, center_element_}).toTensor();
    return numbers(electronegativities_);
}

std::vector<double> TorchModel::energies(const std::vector<double>& charges) {
    const Tensor nuclei = repulsion();
    if (!metadata_.charges) {
        Tensor energies = call("energies_of", {leaf_, center_element_, c10::IValue()});
        by_functions_ = torch::autograd::grad({energies.sum()}, {leaf_})[0];
        if (nuclei.defined()) {
            by_vectors_ = torch::autograd::grad({nuclei.sum()}, {vectors_})[0];
            energies = energies + nuclei;
        }
        return numbers(energies);
    }
    const auto num_atoms = static_cast<std::int64_t>(charges.size());
    const Tensor variable = view(charges, {num_atoms}).to(device_).requires_grad_(true);
    const Tensor own = variable.slice(0, 0, num_centers_);
    Tensor energies = call("energies_of", {leaf_, center_element_, own});
    const Tensor screening =
        charge_model()
            .get_method("screening")({vectors_, center_, neighbor_, elements_or_numbers(element_), variable})
            .toTensor();
    energies = energies + screening.slice(0, 0, num_centers_);
    if (nuclei.defined()) energies = energies + nuclei;
    const auto gradients = torch::autograd::grad(
        {energies.sum()}, {leaf_, vectors_, variable}, {},
        /*retain_graph=*/c10::nullopt, /*create_graph=*/false,
        /*allow_unused=*/true);
    by_functions_ = gradients[0];
    by_vectors_ = gradients[1];
    by_charges_ = gradients[2];
    return numbers(energies);
}

void TorchModel::add_forces(const std::vector<double>& response, ForceSums& sums) {
    Tensor by_functions = by_functions_;
    if (!response.empty()) {
        const Tensor weights = view(response, {num_centers_}).to(device_);
        const auto of_charges = torch::autograd::grad({electronegativities_}, {leaf_}, {weights});
        by_functions = by_functions + of_charges[0];
    }
    Tensor gradient = torch::autograd::grad({functions_}, {vectors_}, {by_functions})[0];
    if (by_vectors_.defined()) gradient = gradient + by_vectors_;
    gradient = gradient.to(torch::kCPU, torch::kDouble).contiguous();
    add_pair_gradients(*pairs_, gradient.const_data_ptr<double>(), sums);
}

}  // namespace

std::unique_ptr<Model> open_torch_model(const std::string& path, const std::string& device, const std::string& dtype) {
    return std::make_unique<TorchModel>(path, device, dtype);
}

}  // namespace mhdnn
