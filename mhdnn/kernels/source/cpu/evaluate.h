// Evaluation of groups of atoms on the CPU: groups are independent of each other, so the result does not
// depend on how they are spread over threads.
#pragma once

#include <utility>

#include "lists.h"
#include "moments.h"
#include "radial.h"
#include "triplets.h"

namespace mhdnn::cpu {

template <class Real>
RadialKernel<Real> kernel_for(const RadialShape&);
template <class Real>
MomentKernel<Real> kernel_for(const MomentShape&);
template <class Real>
TripletKernel<Real> kernel_for(const TripletShape&);
template <class Real>
RadialListKernel<Real> kernel_for(const RadialListShape&);
template <class Real>
TripletListKernel<Real> kernel_for(const TripletListShape&);

template <class Real, class Shape>
using KernelOf = decltype(kernel_for<Real>(std::declval<const Shape&>()));

template <class Real, class T>
std::vector<Real> lanes_of_table(const Arguments<T>& arguments, int size) {
    std::vector<Real> table(size);
    for (int i = 0; i < size; ++i) {
        const T tangent = arguments.table_tangents == nullptr ? T(0) : arguments.table_tangents[i];
        table[i] = with_tangent<Real>(arguments.channel_table[i], tangent);
    }
    return table;
}

/// Groups first ... last - 1 of the atoms in the given order. Real is Lanes<T>, or Dual<Lanes<T>> for derivatives
/// along the tangents.
template <class Real, class Shape, class T>
void evaluate_groups(
    const Shape& shape, const Arguments<T>& arguments, const std::vector<std::int64_t>& order, std::int64_t first,
    std::int64_t last) {
    const int table_size = shape.num_elements * shape.num_channels;
    const std::vector<Real> weights = lanes_of_table<Real>(arguments, table_size);
    KernelOf<Real, Shape> kernel(
        shape, arguments.basis, ChannelTable<Real>{weights.data(), shape.num_elements, shape.num_channels});
    Neighborhood<Real> neighbors(arguments, shape.num_elements);
    const int num_functions = shape.num_functions();
    std::vector<Lanes<T>> functions(num_functions), cotangent(num_functions), table_gradient(table_size);
    for (std::int64_t group = first; group < last; ++group) {
        const std::int64_t first_atom = group * Lanes<T>::width;
        const std::int64_t count = std::min<std::int64_t>(Lanes<T>::width, arguments.num_atoms - first_atom);
        neighbors.load(order.data() + first_atom, int(count));
        if (arguments.cotangent != nullptr) neighbors.load_rows(arguments.cotangent, num_functions, cotangent.data());
        kernel.evaluate(neighbors, arguments.cotangent == nullptr ? nullptr : cotangent.data());
        if (arguments.functions != nullptr) {
            kernel.functions(functions.data());
            neighbors.store_rows(functions.data(), num_functions, arguments.functions);
        }
        if (arguments.cotangent != nullptr) {
            kernel.gradients(neighbors, cotangent.data(), table_gradient.data());
            for (int i = 0; i < table_size; ++i) {
                arguments.table_gradient[group * table_size + i] = sum(table_gradient[i]);
            }
        }
    }
}

}  // namespace mhdnn::cpu
