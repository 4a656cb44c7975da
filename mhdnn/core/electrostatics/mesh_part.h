// The share of a process in a mesh, and in the waves of its transform.
//
// Of the mesh it has planes of the first axis; of the waves, which are needed up to a highest number along the second
// and the third axis, lines along the first axis. So lines of all three axes can be transformed by one process each,
// with one exchange in between.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "charge_system.h"
#include "parameters.h"
#include "threads.h"
#include "vectors.h"

namespace mhdnn::electrostatics {

// Of a wave along the axes of a spectrum.
using WavePlace = std::array<std::int64_t, 3>;

class MeshPart {
public:
    // All points and all waves, without other processes.
    explicit MeshPart(const MeshShape& shape);
    // Of the process that calls this. `highest` are the numbers of waves that are kept; the first axis keeps all.
    MeshPart(const MeshShape& shape, const MeshShape& highest, const Processes& processes);

    const MeshShape& shape() const { return shape_; }
    // The second half of the last axis is left out.
    std::int64_t depth() const { return depth_; }
    // Places of the kept waves along the second axis.
    const std::vector<std::int64_t>& middle() const { return middle_; }
    std::int64_t num_lines() const { return depth_ * static_cast<std::int64_t>(middle_.size()); }
    const Processes& processes() const { return *processes_; }
    Rows planes() const { return planes_of(processes_->rank); }
    Rows lines() const { return lines_of(processes_->rank); }
    Rows planes_of(int process) const { return share(shape_[0], process); }
    Rows lines_of(int process) const { return share(num_lines(), process); }
    std::int64_t num_points() const { return planes().count * shape_[1] * shape_[2]; }
    std::int64_t num_waves() const { return shape_[0] * lines().count; }

    // Calls function(number of the wave, place) for every own wave, the planes of the first axis in parallel.
    template <typename Function>
    void for_each_wave(const Function& function) const {
        const Rows own = lines();
        for_each_of(shape_[0], 1, [&](std::int64_t a) {
            for (std::int64_t line = 0; line < own.count; ++line)
                function(
                    a * own.count + line,
                    WavePlace{a, middle_[(own.first + line) / depth_], (own.first + line) % depth_});
        });
    }

private:
    Rows share(std::int64_t count, int process) const;

    MeshShape shape_;
    std::int64_t depth_;
    std::vector<std::int64_t> middle_;
    const Processes* processes_;
};

}  // namespace mhdnn::electrostatics
