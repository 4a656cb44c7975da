#include "mpi_processes.h"

namespace mhdnn {

MPIProcesses::MPIProcesses(MPI_Comm communicator, std::int64_t count) : communicator_(communicator) {
    MPI_Comm_rank(communicator, &rank);
    MPI_Comm_size(communicator, &size);
    counts_.resize(size);
    int own = static_cast<int>(count);
    MPI_Allgather(&own, 1, MPI_INT, counts_.data(), 1, MPI_INT, communicator);
    num_local = count;
    for (int process = 0; process < size; ++process) {
        if (process < rank) first += counts_[process];
        num_atoms += counts_[process];
    }
}

void MPIProcesses::sum(double* values, std::int64_t count) const {
    if (counts_.size() > 1)
        MPI_Allreduce(MPI_IN_PLACE, values, static_cast<int>(count), MPI_DOUBLE, MPI_SUM, communicator_);
}

void MPIProcesses::gather(const double* local, double* all, int width) const {
    std::vector<int> counts, starts;
    int start = 0;
    for (const int rows : counts_) {
        counts.push_back(width * rows);
        starts.push_back(start);
        start += width * rows;
    }
    // the MPI of LAMMPS without MPI (src/STUBS) takes no const
    MPI_Allgatherv(
        const_cast<double*>(local), static_cast<int>(width * num_local), MPI_DOUBLE, all, counts.data(), starts.data(),
        MPI_DOUBLE, communicator_);
}

void MPIProcesses::exchange(
    const double* sent, const std::vector<std::int64_t>& sent_counts, double* received,
    const std::vector<std::int64_t>& received_counts) const {
    std::vector<int> counts[2], starts[2];
    for (const auto* all : {&sent_counts, &received_counts}) {
        const int side = all == &sent_counts ? 0 : 1;
        int start = 0;
        for (const std::int64_t count : *all) {
            counts[side].push_back(static_cast<int>(count));
            starts[side].push_back(start);
            start += static_cast<int>(count);
        }
    }
    MPI_Alltoallv(
        const_cast<double*>(sent), counts[0].data(), starts[0].data(), MPI_DOUBLE, received, counts[1].data(),
        starts[1].data(), MPI_DOUBLE, communicator_);
}

}  // namespace mhdnn
