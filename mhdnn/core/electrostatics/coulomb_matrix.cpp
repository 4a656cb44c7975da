#include "coulomb_matrix.h"

namespace mhdnn::electrostatics {

CoulombMatrix::CoulombMatrix(
    std::vector<double> positions, RealSpace real, std::unique_ptr<SmoothPart> smooth, std::optional<Cell> cell,
    std::optional<Background> background, const Processes& processes)
    : positions_(std::move(positions)), real_(std::move(real)), smooth_(std::move(smooth)), cell_(std::move(cell)),
      background_(std::move(background)), processes_(processes) {}

std::vector<double> CoulombMatrix::multiply(const std::vector<double>& q) const {
    std::vector<double> result(processes_.num_atoms, 0.0);
    double* const own = result.data() + processes_.first;
    if (elements_) {
        for (std::int64_t atom = 0; atom < processes_.num_local; ++atom) {
            const double* const row = elements_->row(processes_.first + atom);
            double sum = 0.0;
#pragma omp simd reduction(+ : sum)
            for (std::int64_t other = 0; other < elements_->size; ++other) sum += row[other] * q[other];
            own[atom] = sum;
        }
    } else {
        real_.add_product(q, {processes_.first, processes_.num_local}, own);
        if (smooth_) smooth_->add_product(q, result.data());
        if (background_) {
            const auto potential = background_->potential(q);
            for (std::int64_t atom = 0; atom < processes_.num_local; ++atom)
                own[atom] += potential[processes_.first + atom];
        }
    }
    processes_.sum(result.data(), processes_.num_atoms);
    return result;
}

void CoulombMatrix::keep_elements(DenseMatrix smooth) {
    real_.add_to_matrix(smooth.values.data());
    if (background_) background_->add_to_matrix(smooth.values.data());
    for (std::int64_t i = 0; i < smooth.size; ++i)
        for (std::int64_t j = 0; j < i; ++j) smooth.row(j)[i] = smooth.row(i)[j];
    elements_ = std::move(smooth);
}

std::vector<double> CoulombMatrix::moved_product(const Motion& motion, const std::vector<double>& q) const {
    std::vector<double> result(processes_.num_local, 0.0);
    real_.add_moved_product(motion, q, {processes_.first, processes_.num_local}, result.data());
    if (smooth_) smooth_->add_moved_product(motion_of_smooth_part(motion), q, result.data());
    if (background_) {
        const auto moved = background_->moved_potential(motion, q);
        for (std::int64_t atom = 0; atom < processes_.num_local; ++atom) result[atom] += moved[processes_.first + atom];
    }
    return result;
}

// What `add_smooth_strain` does to derivatives, the other way round: where the cell does not follow the strain, as in
// an open structure and along the normal of a slab, atoms are displaced instead.
Motion CoulombMatrix::motion_of_smooth_part(const Motion& motion) const {
    if (cell_ && !cell_->slab) return motion;
    Motion result = motion;
    const Matrix3& strain = motion.strain;
    const Vector3 normal = cell_ ? cell_->normal : Vector3{}, along = electrostatics::multiply(normal, strain);
    const double stretch = dot(normal, along);
    for (std::size_t first = 0; first < positions_.size(); first += 3) {
        const Vector3 moved =
            cell_ ? Vector3{}
                  : electrostatics::multiply({positions_[first], positions_[first + 1], positions_[first + 2]}, strain);
        const double height = cell_ ? cell_->height(&positions_[first]) : 0.0;
        for (int axis = 0; axis < 3; ++axis)
            result.displacements[first + axis] += moved[axis] + height * (2.0 * along[axis] - stretch * normal[axis]);
    }
    for (int a = 0; a < 3; ++a)
        for (int b = 0; b < 3; ++b)
            result.strain[a][b] =
                cell_ ? strain[a][b] - normal[a] * along[b] - along[a] * normal[b] + stretch * normal[a] * normal[b]
                      : 0.0;
    return result;
}

Derivatives CoulombMatrix::derivatives(
    const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const {
    const std::int64_t count = processes_.num_local;
    Derivatives result{std::vector<double>(3 * count, 0.0), {}, {}};
    if (per_atom) result.strain_per_atom.assign(6 * count, 0.0);
    Voigt own{}, common{};  // of own atoms, and what every process knows
    real_.add_derivatives(p, q, {processes_.first, count}, own, result);
    if (smooth_) {
        const auto smooth = smooth_->derivatives(p, q, per_atom);
        for (std::int64_t k = 0; k < 3 * count; ++k) result.positions[k] += smooth.positions[k];
        for (std::size_t k = 0; k < smooth.strain_per_atom.size(); ++k)
            result.strain_per_atom[k] += smooth.strain_per_atom[k];
        add_smooth_strain(smooth, own, common);
    }
    if (background_) background_->add_derivatives(p, q, processes_, common, result);
    processes_.sum(own.data(), 6);
    for (int c = 0; c < 6; ++c) result.strain[c] = own[c] + common[c];
    if (per_atom) share_difference(result);
    return result;
}

// The smooth part knows the derivative T by a strain of atoms and cell vectors together. An open structure's box
// stays as it is: the atoms move alone. A slab's cell keeps its length along the normal n, and its normal, which
// leaves of T the elements in the plane, and moves the atoms by their heights above the origin.
void CoulombMatrix::add_smooth_strain(const SmoothDerivatives& smooth, Voigt& own, Voigt& common) const {
    if (cell_ && !cell_->slab) {
        for (int c = 0; c < 6; ++c) common[c] += smooth.strain[c];
        return;
    }
    for (std::int64_t atom = 0; atom < processes_.num_local; ++atom) {
        const double *const r = &positions_[3 * (processes_.first + atom)], *const g = &smooth.positions[3 * atom];
        const Vector3 gradient = {g[0], g[1], g[2]};
        if (!cell_) {
            add_symmetric(own.data(), 1.0, {r[0], r[1], r[2]}, gradient);
            continue;
        }
        const double height = cell_->height(r);
        add_symmetric(own.data(), 2.0 * height, gradient, cell_->normal);
        add_symmetric(own.data(), -height * dot(gradient, cell_->normal), cell_->normal, cell_->normal);
    }
    if (!cell_) return;
    Vector3 along = {0.0, 0.0, 0.0};  // T n
    for (int c = 0; c < 6; ++c) {
        const int row = voigt_row[c], column = voigt_column[c];
        common[c] += smooth.strain[c];
        along[row] += smooth.strain[c] * cell_->normal[column];
        if (row != column) along[column] += smooth.strain[c] * cell_->normal[row];
    }
    add_symmetric(common.data(), -2.0, along, cell_->normal);
    add_symmetric(common.data(), dot(along, cell_->normal), cell_->normal, cell_->normal);
}

// Atoms have halves of the derivatives of their pairs by a strain of atoms and cell vectors together, in a slab and
// an open structure, too; the sum differs from the exact derivative by no more than the accuracy.
void CoulombMatrix::share_difference(Derivatives& result) const {
    Voigt sums{};
    for (std::int64_t atom = 0; atom < processes_.num_local; ++atom)
        for (int c = 0; c < 6; ++c) sums[c] += result.strain_per_atom[6 * atom + c];
    processes_.sum(sums.data(), 6);
    for (std::int64_t atom = 0; atom < processes_.num_local; ++atom)
        for (int c = 0; c < 6; ++c)
            result.strain_per_atom[6 * atom + c] +=
                (result.strain[c] - sums[c]) / static_cast<double>(processes_.num_atoms);
}

}  // namespace mhdnn::electrostatics
