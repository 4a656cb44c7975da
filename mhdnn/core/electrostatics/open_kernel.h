// The smooth part of the kernel of an open structure, on a mesh no larger than each direction needs:
//
//     erf(r/√2η)/r = 2/√π ∫ exp(-t²r²) dt, t from 0 to 1/√2η, ≈ Σ_j w_j exp(-t_j²x²) exp(-t_j²y²) exp(-t_j²z²)
//
// A sum of products can be cut off along each axis by itself: by a window that is 1 within the structure's extent e and
// falls to 0, as the error function, before a periodic image of any atom is reached, whose period is 2(e + m) with the
// margin m (the cutoff of the real-space sum). So the result is that of the open structure, whatever its shape.
#pragma once

#include <array>
#include <vector>

#include "fourier.h"
#include "parameters.h"

namespace mhdnn::electrostatics {

struct OpenBox {
    Vector3 extents;  // of the structure, Å
    double margin;    // Å

    double period(int axis) const { return 2.0 * (extents[axis] + margin); }
    Matrix3 vectors() const;
};

// A sum of products of Gaussians along the axes, times windows.
class OpenKernel {
public:
    OpenKernel(const OpenBox& box, const MeshPart& part, double smearing);

    // At the waves of a spectrum, eV/e².
    Buffer<double> values() const;
    // Its derivative by strain, r_a dK/dr_b, one component of the symmetric tensor.
    Buffer<double> strain_derivatives(int component) const;

private:
    using Powers = std::array<int, 3>;  // of x, y, z before the Gaussians
    Buffer<double> sum(const std::vector<double>& weights, const Powers& powers) const;
    void set_sums(
        const std::vector<double>& weights, const Powers& powers, std::int64_t a, std::int64_t b, Rows depths,
        double* result) const;
    const double* factors(int axis, int power, std::int64_t place) const;

    MeshPart part_;
    MeshShape shape_;
    std::vector<double> nodes_, weights_;
    std::vector<double> factors_[3][3];  // of an axis and a power: rows of waves up to the highest, columns of nodes
};

}  // namespace mhdnn::electrostatics
