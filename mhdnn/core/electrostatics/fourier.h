// Real Fourier transforms in three dimensions, shared by processes: what each has of a mesh and of its waves says
// MeshPart.
#pragma once

#include "buffer.h"
#include "mesh_part.h"

namespace mhdnn::electrostatics {

struct Spectrum {
    Buffer<double> real, imaginary;
};

Spectrum transformed(const MeshPart& part, const Buffer<double>& mesh);

// Without a factor: the sum of waves at the points.
Buffer<double> transformed_back(const MeshPart& part, Spectrum spectrum);

// Times real numbers: what is given, or another one.
void multiply(Spectrum& spectrum, const Buffer<double>& kernel);
Spectrum product(const Spectrum& spectrum, const Buffer<double>& kernel);

// Of a mesh with the inverse transform of a kernel.
Buffer<double> convolved(const MeshPart& part, const Buffer<double>& kernel, const Buffer<double>& mesh);

}  // namespace mhdnn::electrostatics
