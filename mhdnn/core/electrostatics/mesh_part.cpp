#include "mesh_part.h"

#include <cstdlib>

#include "splines.h"

namespace mhdnn::electrostatics {
namespace {

const Processes alone;

}  // namespace

MeshPart::MeshPart(const MeshShape& shape) : MeshPart(shape, shape, alone) {}

MeshPart::MeshPart(const MeshShape& shape, const MeshShape& highest, const Processes& processes)
    : shape_(shape), depth_(std::min(highest[2], shape[2] / 2) + 1), processes_(&processes) {
    for (std::int64_t place = 0; place < shape[1]; ++place)
        if (std::abs(wave_number(place, shape[1])) <= highest[1]) middle_.push_back(place);
}

Rows MeshPart::share(std::int64_t count, int process) const {
    const std::int64_t first = count * process / processes_->size;
    return {first, count * (process + 1) / processes_->size - first};
}

}  // namespace mhdnn::electrostatics
