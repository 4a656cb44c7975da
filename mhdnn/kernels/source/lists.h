// Functions that are for certain elements of the neighbours only, so that none is evaluated that nobody asked for:
// radial function n counts neighbours of the element elements[n]; narrow and wide functions of n pairs of neighbours
// of the elements elements[2n] <= elements[2n + 1]. Radial functions of the same elements follow each other, and so do
// narrow and wide functions of such a block. Channels don't enter.
#pragma once

#include "triplets.h"

namespace mhdnn {

struct RadialListShape {
    int num_elements, num_channels, num_radial;
    const std::int64_t* elements;  // (num_radial)

    MHDNN_FUNCTION int num_functions() const { return num_radial; }
};

/// Functions of pairs of neighbours of two elements; `shape` counts radial functions from first_radial on.
struct TripletBlock {
    int first_element, second_element, first_radial, first_function;
    TripletShape shape;
};

struct TripletListShape {
    int num_elements, num_channels, num_radial, num_angular, num_blocks;
    const TripletBlock* blocks;  // (num_blocks)

    MHDNN_FUNCTION int num_functions() const { return num_angular; }
};

}  // namespace mhdnn
