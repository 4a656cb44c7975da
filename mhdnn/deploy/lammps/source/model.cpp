#include "model.h"

#include "archive.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/cuda.h>
#include <torch/script.h>

#include <iterator>
#include <sstream>
#include <stdexcept>

namespace mhdnn {
namespace {

constexpr int format_version = 4;  // mhdnn.deploy.model_file.FORMAT_VERSION
constexpr int older_format = 3;    // mhdnn.deploy.older_format.FORMAT_VERSION: ranges of all elements together
// Metadata in files of their own; mhdnn.deploy.model_file.PLAIN_TEXTS.
constexpr const char *plain_texts[] = {"format_version", "mhdnn_version", "dtype", "operator_library", "elements",
                                       "reference_energies", "cutoff", "charges", "dispersion_left_out"};

using torch::Tensor;

[[noreturn]] void fail(const std::string &message) { throw std::runtime_error(message); }

template <typename T>
Tensor view(const std::vector<T> &values, c10::IntArrayRef shape) {
  return torch::from_blob(const_cast<T *>(values.data()), shape, c10::CppTypeToScalarType<T>::value);
}

std::vector<double> numbers(const Tensor &tensor) {
  const Tensor flat = tensor.detach().to(torch::kCPU, torch::kDouble).contiguous();
  const double *first = flat.const_data_ptr<double>();
  return {first, first + flat.numel()};
}

// The first line of an error of torch, which may go on with a trace through TorchScript.
std::string first_line(const std::exception &error) {
  const std::string text = error.what();
  const auto start = text.find_first_not_of('\n');
  return start == std::string::npos ? text : text.substr(start, text.find('\n', start) - start);
}

// A record of an archive, by the name that stands in its directory; torch leaves out the first folder.
std::string unpacked(const std::string &file, const std::string &name, const std::string &path) {
  try {
    std::istringstream stream(file);
    caffe2::serialize::PyTorchStreamReader reader(&stream);
    const auto [data, size] = reader.getRecord(name.substr(name.find('/') + 1));
    return {static_cast<const char *>(data.get()), size};
  } catch (const std::exception &error) {
    fail(path + ": not a model file (" + first_line(error) + "); expected TorchScript written by `mhdnn export`");
  }
}

template <typename T>
std::vector<T> words(const std::string &text) {
  std::istringstream stream(text);
  return {std::istream_iterator<T>(stream), std::istream_iterator<T>()};
}

Metadata parse(const torch::jit::ExtraFilesMap &files, const std::string &path) {
  const auto text = [&files](const std::string &name) { return files.at(name + ".txt"); };
  if (text("format_version").empty())
    fail(path + ": TorchScript without mhdnn's metadata, or of a version before this pair style's; expected a file "
         "written by `mhdnn export`");
  Metadata result;
  result.format_version = std::stoi(text("format_version"));
  if (result.format_version != format_version && result.format_version != older_format)
    fail(path + ": format version " + std::to_string(result.format_version) + ", this pair style reads " +
         std::to_string(older_format) + " and " + std::to_string(format_version) + "; export the checkpoint again with `mhdnn export`");
  result.mhdnn_version = text("mhdnn_version");
  result.dtype = text("dtype");
  result.operator_library = text("operator_library");
  result.elements = words<std::string>(text("elements"));
  result.reference_energies = words<double>(text("reference_energies"));
  result.cutoff = std::stod(text("cutoff"));
  result.charges = text("charges") == "1";
  result.dispersion_left_out = text("dispersion_left_out");
  return result;
}

torch::ScalarType scalar_type(const std::string &dtype) {
  if (dtype == "float32") return torch::kFloat;
  if (dtype == "float64") return torch::kDouble;
  fail("dtype: expected model, float32 or float64, got " + dtype);
}

torch::Device choose_device(const std::string &name) {
  if (name != "cpu" && name.rfind("cuda", 0) != 0) fail("device: expected cpu or cuda, got " + name);
  if (name != "cpu" && !torch::cuda::is_available())
    fail("device " + name + ": no GPU that this libtorch can use; choose device cpu");
  return torch::Device(name);
}

}  // namespace

struct Model::Implementation {
  torch::jit::Module module;
  Metadata metadata;
  torch::Device device = torch::kCPU;
  std::vector<double> hardness, widths;
  ErrorModel error_model;
  Tensor atomic_numbers;  // of the elements

  std::vector<double> squared_distance_limits, fewest_neighbors, most_neighbors;  // of the training data
  Tensor lower_limits, upper_limits;  // of the functions for each element, in their precision
  double squared_reach = 0.0;  // of the repulsion of nuclei, Å²

  // of the pairs that were set
  const Pairs *pairs = nullptr;
  std::int64_t num_centers = 0;
  Tensor vectors, symmetry_functions, functions, leaf;  // scaled; `leaf`: as variables of the networks
  std::vector<char> outside;
  Tensor center, neighbor, element, center_element;
  // of the evaluation
  Tensor electronegativity, by_functions, by_vectors, by_charges, gradient;

  Tensor call(const char *name, std::vector<c10::IValue> arguments) const {
    return module.get_method(name)(std::move(arguments)).toTensor();
  }

  bool is_older() const { return metadata.format_version == older_format; }

  template <typename... Arguments>
  c10::IValue ask_domain(const char *name, Arguments... arguments) const {
    return module.attr("domain").toModule().get_method(name)({c10::IValue(arguments)...});
  }

  // The bytes that are verified are those that are loaded.
  void load(const std::string &path) {
    const std::string file = read_file(path);
    torch::jit::ExtraFilesMap extra;
    for (const std::string name : plain_texts) extra[name + ".txt"] = "";
    verify(file, path, [&file, &path](const std::string &name) { return unpacked(file, name, path); });
    try {
      std::istringstream stream(file);
      module = torch::jit::load(stream, device, extra);
    } catch (const std::exception &error) {
      fail(path + ": not a model file (" + first_line(error) + "); expected TorchScript written by `mhdnn export`");
    }
    metadata = parse(extra, path);
    module.eval();
  }

  void prepare(const std::string &chosen) {
    if (chosen != "model" && chosen != metadata.dtype) convert(scalar_type(chosen));
    if (chosen != "model") metadata.dtype = chosen;
    for (auto parameter : module.parameters()) parameter.set_requires_grad(false);
    const Tensor known = module.attr("element_of_atomic_number").toTensor();
    atomic_numbers = torch::nonzero(known >= 0).squeeze(1);
    if (!is_older()) {
      const auto domain = module.attr("domain").toModule();
      squared_distance_limits = numbers(domain.attr("distance_range").toTensor()[0].square());
      fewest_neighbors = numbers(domain.attr("count_range").toTensor()[0]);
      most_neighbors = numbers(domain.attr("count_range").toTensor()[3]);
      const Tensor of_functions = domain.attr("function_range").toTensor().to(scalar_type(metadata.dtype));
      lower_limits = of_functions[0].contiguous();
      upper_limits = of_functions[3].contiguous();
    }
    if (module.hasattr("repulsion") && module.attr("repulsion").isModule())
      squared_reach = module.attr("repulsion").toModule().attr("outer").toTensor().max().square().item<double>();
    read_error_model();
    if (!metadata.charges) return;
    widths = numbers(module.attr("widths").toTensor());
    hardness = numbers(call("hardness", {atomic_numbers}));
    metadata.accuracy = module.attr("accuracy").toDouble();
  }

  void read_error_model() {
    if (!module.hasattr("uncertainty")) return;
    const auto part = module.attr("uncertainty").toModule();
    if (!part.get_method("is_fitted")({}).toBool()) return;
    const auto values = [&part](const char *name) { return numbers(part.attr(name).toTensor()); };
    error_model = {values("offset"), values("least_error"), values("weights"), values("force_floor")[0],
                   values("largest_error")[0], part.attr("outside_factor").toDouble()};
  }

  // The twin of TrainingDomain.functions_outside in mhdnn/domain.py on the CPU: in one pass without tensors in between,
  // which are as large as the functions.
  template <typename T>
  void mark_functions(const Tensor &functions) {
    const std::int64_t size = functions.size(1);
    const T *row = functions.const_data_ptr<T>();
    for (std::int64_t center = 0; center < num_centers; ++center, row += size) {
      const T *const lower = lower_limits.const_data_ptr<T>() + pairs->element[center] * size;
      const T *const upper = upper_limits.const_data_ptr<T>() + pairs->element[center] * size;
      int inside = 1;  // false for what is no number, too
      for (std::int64_t f = 0; f < size; ++f)
        inside &= static_cast<int>(row[f] >= lower[f]) & static_cast<int>(row[f] <= upper[f]);
      outside[center] |= !inside;
    }
  }

  // The twin of TrainingDomain.distances_outside in mhdnn/domain.py: in one pass over the pairs, because tensors of
  // pairs cost a tenth of a step.
  void mark_distances() {
    const auto num_elements = static_cast<std::int64_t>(metadata.elements.size());
    const double inverse = 1.0 / (metadata.cutoff * metadata.cutoff);
    std::int64_t pair = 0;
    for (std::int64_t center = 0; center < num_centers; ++center) {
      const std::int64_t element = pairs->element[center];
      const double *const limits = &squared_distance_limits[element * num_elements];
      double count = 0.0;
      bool close = false;
      for (; pair < pairs->num_pairs() && pairs->center[pair] == center; ++pair) {
        const double *const r = &pairs->vectors[3 * pair];
        const double square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2], share = 1.0 - square * inverse;
        count += share * share;
        close |= square < limits[pairs->element[pairs->neighbor[pair]]];
      }
      outside[center] |= close || count < fewest_neighbors[element] || count > most_neighbors[element];
    }
  }

  void add_marks(const Tensor &given) {
    const Tensor marks = given.to(torch::kCPU).contiguous();
    const bool *const found = marks.const_data_ptr<bool>();
    for (std::int64_t center = 0; center < num_centers; ++center) outside[center] |= found[center];
  }

  // Of nuclei, for each centre; undefined if no pair is near enough.
  Tensor repulsion() const {
    std::vector<std::int64_t> near;
    for (std::int64_t pair = 0; squared_reach > 0.0 && pair < pairs->num_pairs(); ++pair) {
      const double *const r = &pairs->vectors[3 * pair];
      if (r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < squared_reach) near.push_back(pair);
    }
    if (near.empty()) return Tensor();
    // a copy: the graph of derivatives keeps it
    const Tensor chosen = view(near, {static_cast<std::int64_t>(near.size())}).clone().to(device);
    return module.attr("repulsion")
        .toModule()
        .forward({vectors.index_select(0, chosen), center.index_select(0, chosen), neighbor.index_select(0, chosen),
                  element, num_centers})
        .toTensor();
  }

  // Another precision of the networks and functions; reference energies, widths, ranges, the repulsion of nuclei and the
  // calibration of errors are always float64.
  void convert(torch::ScalarType dtype) {
    const auto change = [dtype](const std::string &name, Tensor tensor) {
      const bool is_calibration = name.rfind("uncertainty.", 0) == 0 && tensor.dim() < 2;  // no matrix
      if (tensor.is_floating_point() && name != "reference_energies" && name != "widths" &&
          name.rfind("domain.", 0) != 0 && name.rfind("repulsion.", 0) != 0 && !is_calibration)
        tensor.set_data(tensor.to(dtype));
    };
    for (const auto &parameter : module.named_parameters()) change(parameter.name, parameter.value);
    for (const auto &buffer : module.named_buffers()) change(buffer.name, buffer.value);
  }
};

Model::Model(const std::string &path, const std::string &device, const std::string &dtype)
    : implementation_(std::make_unique<Implementation>()) {
  auto &self = *implementation_;
  self.device = choose_device(device);
  torch::jit::getProfilingMode() = false;  // shapes change from step to step: never specialise to them
  self.load(path);
  self.prepare(dtype);
}

Model::~Model() = default;

const Metadata &Model::metadata() const { return implementation_->metadata; }
const std::vector<double> &Model::hardness() const { return implementation_->hardness; }
const std::vector<double> &Model::widths() const { return implementation_->widths; }

void Model::set_pairs(const Pairs &pairs) {
  auto &self = *implementation_;
  const auto device = self.device;
  self.pairs = &pairs;
  self.num_centers = pairs.num_centers;
  self.vectors = view(pairs.vectors, {pairs.num_pairs(), 3}).to(device).requires_grad_(true);
  self.center = view(pairs.center, {pairs.num_pairs()}).to(device);
  self.neighbor = view(pairs.neighbor, {pairs.num_pairs()}).to(device);
  self.element = view(pairs.element, {pairs.num_atoms()}).to(device);
  self.center_element = self.element.slice(0, 0, self.num_centers);
  self.symmetry_functions = self.call(self.is_older() ? "scaled_functions" : "symmetry_functions",
                                      {self.vectors, self.center, self.neighbor, self.element, self.num_centers});
  self.functions = self.is_older() ? self.symmetry_functions : self.call("scaled", {self.symmetry_functions});
  self.leaf = self.functions.detach().requires_grad_(true);
  self.electronegativity = self.by_functions = self.by_vectors = self.by_charges = Tensor();
}

bool Model::knows_training_domain() const {
  const auto &self = *implementation_;
  return !self.is_older() && self.ask_domain("is_complete").toBool();
}

const std::vector<char> &Model::mark_outside(const std::vector<double> &charges) {
  auto &self = *implementation_;
  if (!charges.empty()) {
    if (self.is_older()) return self.outside;
    const Tensor own = view(charges, {self.num_centers}).to(self.device);
    self.add_marks(self.ask_domain("charges_outside", own, self.center_element).toTensor());
    return self.outside;
  }
  self.outside.assign(self.num_centers, 0);
  const Tensor functions = self.symmetry_functions.detach().contiguous();
  if (self.is_older()) {
    self.add_marks(self.call("outside_training", {functions}));
    return self.outside;
  }
  if (!functions.is_cpu()) {
    self.add_marks(self.ask_domain("functions_outside", functions, self.center_element).toTensor());
  } else if (functions.scalar_type() == torch::kFloat) {
    self.mark_functions<float>(functions);
  } else {
    self.mark_functions<double>(functions);
  }
  self.mark_distances();
  return self.outside;
}

std::string Model::why_outside(std::int64_t center, const std::vector<double> &charges) const {
  const auto &self = *implementation_;
  if (self.is_older()) return "a symmetry function";
  c10::IValue own;
  if (!charges.empty()) own = view(charges, {self.num_centers}).to(self.device);
  const Tensor functions = self.symmetry_functions.detach(), vectors = self.vectors.detach();
  return self.ask_domain("why_outside", center, functions, vectors, self.center, self.neighbor, self.element, own)
      .toStringRef();
}

std::string Model::total_charge_outside(double total_charge) const {
  const auto &self = *implementation_;
  if (self.is_older()) return "";
  return self.ask_domain("total_charge_outside", total_charge).toStringRef();
}

const ErrorModel &Model::error_model() const { return implementation_->error_model; }

std::vector<double> Model::grades() const {
  const auto &self = *implementation_;
  const auto part = self.module.attr("uncertainty").toModule();
  return numbers(part.get_method("grades")({self.leaf.detach(), self.center_element}).toTensor());
}

std::vector<double> Model::electronegativity() {
  auto &self = *implementation_;
  self.electronegativity = self.call("electronegativity_of", {self.leaf, self.center_element});
  return numbers(self.electronegativity);
}

std::vector<double> Model::energies(const std::vector<double> &charges) {
  auto &self = *implementation_;
  const Tensor repulsion = self.repulsion();
  if (!self.metadata.charges) {
    Tensor energies = self.call("energies_of", {self.leaf, self.center_element, c10::IValue()});
    self.by_functions = torch::autograd::grad({energies.sum()}, {self.leaf})[0];
    if (repulsion.defined()) {
      self.by_vectors = torch::autograd::grad({repulsion.sum()}, {self.vectors})[0];
      energies = energies + repulsion;
    }
    return numbers(energies);
  }
  const auto num_atoms = static_cast<std::int64_t>(charges.size());
  const Tensor variable = view(charges, {num_atoms}).to(self.device).requires_grad_(true);
  const Tensor own = variable.slice(0, 0, self.num_centers);
  const Tensor numbers_of_atoms = self.atomic_numbers.index_select(0, self.element);
  Tensor energies = self.call("energies_of", {self.leaf, self.center_element, own});
  const Tensor screening =
      self.call("screening", {self.vectors, self.center, self.neighbor, numbers_of_atoms, variable});
  energies = energies + screening.slice(0, 0, self.num_centers);
  if (repulsion.defined()) energies = energies + repulsion;
  const auto gradients = torch::autograd::grad({energies.sum()}, {self.leaf, self.vectors, variable}, {},
                                               /*retain_graph=*/c10::nullopt, /*create_graph=*/false,
                                               /*allow_unused=*/true);
  self.by_functions = gradients[0];
  self.by_vectors = gradients[1];
  self.by_charges = gradients[2];
  return numbers(energies);
}

std::vector<double> Model::gradient_by_charge() const { return numbers(implementation_->by_charges); }

const double *Model::gradient_by_vector(const std::vector<double> &response) {
  auto &self = *implementation_;
  Tensor by_functions = self.by_functions;
  if (!response.empty()) {
    const Tensor weights = view(response, {self.num_centers}).to(self.device);
    const auto of_charges = torch::autograd::grad({self.electronegativity}, {self.leaf}, {weights});
    by_functions = by_functions + of_charges[0];
  }
  Tensor gradient = torch::autograd::grad({self.functions}, {self.vectors}, {by_functions})[0];
  if (self.by_vectors.defined()) gradient = gradient + self.by_vectors;
  self.gradient = gradient.to(torch::kCPU, torch::kDouble).contiguous();
  return self.gradient.const_data_ptr<double>();
}

}  // namespace mhdnn
