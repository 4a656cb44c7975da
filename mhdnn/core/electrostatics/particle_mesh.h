// The smooth part on a mesh.
#pragma once

#include <optional>
#include <vector>

#include "charge_system.h"
#include "mesh.h"
#include "open_kernel.h"
#include "smooth_part.h"

namespace mhdnn::electrostatics {

class ParticleMesh : public SmoothPart {
public:
    // With the box of an open structure, or without it with periodic directions.
    ParticleMesh(
        const Matrix3& cell, const std::vector<double>& positions, const Splitting& splitting,
        const MeshResolution& resolution, const std::optional<OpenBox>& box, const Processes& processes);

    void add_product(const std::vector<double>& q, double* result) const override;
    SmoothDerivatives derivatives(
        const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const override;
    void add_moved_product(const Motion& motion, const std::vector<double>& q, double* result) const override;
    std::size_t num_bytes() const override { return sizeof(double) * (kernel_.size() + slopes_.size()); }

private:
    const MeshPart& part() const { return mesh_.part(); }
    std::vector<double> own(const double* all, int width) const;
    Buffer<double> potential(const Spectrum& charges) const;
    void set_periodic_kernel();
    // Derivatives of the kernel by strain at all waves.
    Buffer<double> strain_kernel(int component) const;
    Voigt strain(const Spectrum& p, const Spectrum& q) const;
    void add_strain_per_atom(const std::vector<double>& p, const Spectrum& q_waves, double* result) const;

    const Processes& processes_;
    Green green_;
    Mesh mesh_;
    Influence influence_;
    std::optional<OpenKernel> open_;
    Buffer<double> kernel_;  // Green's function times influence factors
    Buffer<double> slopes_;  // its derivative by k², with periodic directions
};

}  // namespace mhdnn::electrostatics
