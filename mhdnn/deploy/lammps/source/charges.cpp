#include "charges.h"

namespace mhdnn {
namespace {

std::vector<double> gathered(const Processes &processes, const std::vector<double> &local, int width) {
  std::vector<double> all(width * processes.num_atoms);
  processes.gather(local.data(), all.data(), width);
  return all;
}

}  // namespace

MPIProcesses::MPIProcesses(MPI_Comm communicator, std::int64_t count) : communicator_(communicator) {
  int rank, size;
  MPI_Comm_rank(communicator, &rank);
  MPI_Comm_size(communicator, &size);
  counts_.resize(size);
  const int own = static_cast<int>(count);
  MPI_Allgather(&own, 1, MPI_INT, counts_.data(), 1, MPI_INT, communicator);
  num_local = count;
  for (int process = 0; process < size; ++process) {
    if (process < rank) first += counts_[process];
    num_atoms += counts_[process];
  }
}

void MPIProcesses::sum(double *values, std::int64_t count) const {
  if (counts_.size() > 1)
    MPI_Allreduce(MPI_IN_PLACE, values, static_cast<int>(count), MPI_DOUBLE, MPI_SUM, communicator_);
}

void MPIProcesses::gather(const double *local, double *all, int width) const {
  std::vector<int> counts, starts;
  int start = 0;
  for (const int rows : counts_) {
    counts.push_back(width * rows);
    starts.push_back(start);
    start += width * rows;
  }
  MPI_Allgatherv(local, static_cast<int>(width * num_local), MPI_DOUBLE, all, counts.data(), starts.data(), MPI_DOUBLE,
                 communicator_);
}

ChargeStep::ChargeStep(MPI_Comm communicator, const Box &box, const std::vector<double> &positions,
                       const std::vector<double> &widths, const std::vector<double> &hardness,
                       const ChargeSettings &settings)
    : processes_(communicator, static_cast<std::int64_t>(widths.size())), total_charge_(settings.total_charge) {
  system_ = std::make_unique<ChargeSystem>(box, gathered(processes_, positions, 3), gathered(processes_, widths, 1),
                                           gathered(processes_, hardness, 1), settings.accuracy, settings.solver,
                                           processes_);
}

std::vector<double> ChargeStep::equilibrate(const std::vector<double> &electronegativity,
                                            const std::vector<double> &start) {
  double without_start = start.empty() && processes_.num_local > 0 ? 1.0 : 0.0;
  processes_.sum(&without_start, 1);
  std::vector<double> start_all;
  if (without_start == 0.0) start_all = gathered(processes_, start, 1);
  system_->equilibrate(electronegativity.data(), total_charge_, start_all.empty() ? nullptr : start_all.data());
  potential_ = system_->potential_local();
  return local(system_->charges());
}

std::vector<double> ChargeStep::energies() const {
  std::vector<double> result = local(system_->charges());
  for (std::size_t atom = 0; atom < result.size(); ++atom) result[atom] *= 0.5 * potential_[atom];
  return result;
}

std::vector<double> ChargeStep::respond(const std::vector<double> &short_range_gradient) {
  std::vector<double> gradient = potential_;
  for (std::size_t atom = 0; atom < gradient.size(); ++atom) gradient[atom] += short_range_gradient[atom];
  adjoint_ = system_->adjoint(gradient.data());
  return local(adjoint_);
}

Derivatives ChargeStep::derivatives(bool per_atom) const {
  // d(q A q / 2) at fixed charges, and the response: adjoint times dA q
  std::vector<double> left = adjoint_;
  for (std::size_t atom = 0; atom < left.size(); ++atom) left[atom] += 0.5 * system_->charges()[atom];
  return system_->derivatives(left, system_->charges(), per_atom);
}

std::vector<double> ChargeStep::local(const std::vector<double> &all) const {
  return {all.begin() + processes_.first, all.begin() + processes_.first + processes_.num_local};
}

}  // namespace mhdnn
