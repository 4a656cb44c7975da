// The model file through libtorch. Neither LAMMPS nor torch is seen from here.
#pragma once

#include <memory>
#include <string>

#include "model.h"

namespace mhdnn {

// device: cpu or cuda; dtype: float32, float64, or model for that of the file.
std::unique_ptr<Model> open_torch_model(const std::string& path, const std::string& device, const std::string& dtype);

}  // namespace mhdnn
