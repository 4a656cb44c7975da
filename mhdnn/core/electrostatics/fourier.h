// Real Fourier transforms in three dimensions. The second half of the last axis of a spectrum is left out.
#pragma once

#include <vector>

#include "parameters.h"

namespace mhdnn::electrostatics {

struct Spectrum {
    std::vector<double> real, imaginary;
};

inline std::int64_t num_points(const MeshShape& shape) { return shape[0] * shape[1] * shape[2]; }
inline std::int64_t num_waves(const MeshShape& shape) { return shape[0] * shape[1] * (shape[2] / 2 + 1); }

Spectrum transformed(const MeshShape& shape, const std::vector<double>& mesh);

// Without a factor: the sum of waves at the points. The spectrum is used up.
void transform_back(const MeshShape& shape, Spectrum& spectrum, std::vector<double>& mesh);

// Multiplies a spectrum with real numbers.
void multiply(Spectrum& spectrum, const std::vector<double>& kernel);

// Transforms a mesh, multiplies it with a kernel, and transforms it back.
void convolve(const MeshShape& shape, const std::vector<double>& kernel, std::vector<double>& mesh);

}  // namespace mhdnn::electrostatics
