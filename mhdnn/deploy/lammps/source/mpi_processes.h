// The processes of a run, for charge equilibration.
#pragma once

#include <mpi.h>

#include <vector>

#include "electrostatics/charge_system.h"

namespace mhdnn {

// Rows of all processes in the order of the processes; nothing is indexed by atom IDs, which insertions change.
class MPIProcesses : public Processes {
public:
    MPIProcesses(MPI_Comm, std::int64_t num_local);
    void sum(double* values, std::int64_t count) const override;
    void gather(const double* local, double* all, int width) const override;
    void exchange(
        const double* sent, const std::vector<std::int64_t>& sent_counts, double* received,
        const std::vector<std::int64_t>& received_counts) const override;

private:
    MPI_Comm communicator_;
    std::vector<int> counts_;  // rows of each process
};

}  // namespace mhdnn
