#include "fourier.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/fft_irfftn.h>
#include <ATen/ops/fft_rfftn.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

namespace mhdnn::electrostatics {
namespace {

at::Tensor forward(const MeshShape &shape, const std::vector<double> &mesh) {
  const auto view = at::from_blob(const_cast<double *>(mesh.data()), shape, at::kDouble);
  return at::fft_rfftn(view).contiguous();
}

void backward(const MeshShape &shape, const at::Tensor &spectrum, std::vector<double> &mesh) {
  const auto values = at::fft_irfftn(spectrum, shape, {}, "forward").contiguous();
  std::copy_n(values.const_data_ptr<double>(), num_points(shape), mesh.begin());
}

}  // namespace

Spectrum transformed(const MeshShape &shape, const std::vector<double> &mesh) {
  const auto spectrum = forward(shape, mesh);
  const auto *const values = reinterpret_cast<const std::complex<double> *>(spectrum.const_data_ptr());
  return {values, values + num_waves(shape)};
}

void transform_back(const MeshShape &shape, Spectrum &spectrum, std::vector<double> &mesh) {
  const MeshShape half = {shape[0], shape[1], shape[2] / 2 + 1};
  mesh.resize(num_points(shape));
  backward(shape, at::from_blob(spectrum.data(), half, at::kComplexDouble), mesh);
}

void convolve(const MeshShape &shape, const std::vector<double> &kernel, std::vector<double> &mesh) {
  const auto spectrum = forward(shape, mesh);
  auto *const values = reinterpret_cast<double *>(spectrum.mutable_data_ptr());
  const auto count = static_cast<std::int64_t>(kernel.size());
#pragma omp parallel for simd schedule(static)
  for (std::int64_t wave = 0; wave < count; ++wave) {
    values[2 * wave] *= kernel[wave];
    values[2 * wave + 1] *= kernel[wave];
  }
  backward(shape, spectrum, mesh);
}

}  // namespace mhdnn::electrostatics
